# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bird_sms_global_optspecs
    string join \n v/verbose color= h/help V/version
end

function __fish_bird_sms_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bird_sms_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bird_sms_using_subcommand
    set -l cmd (__fish_bird_sms_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bird-sms -n "__fish_bird_sms_needs_command" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_needs_command" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -s V -l version -d 'Print version'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "check" -d 'Check the access key, the workspace and the connection, and create nothing'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "install" -d 'Install an SMS channel and print its id'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "wait" -d 'Wait for the channel of a connector that exists, and print the id of the channel'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "batch" -d 'Install many SMS channels from a file, as fast as the rate limits allow'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "connector" -d 'Print a connector'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "sandbox" -d 'Serve a local sandbox of the API'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "environment" -d 'Describe the environment variables'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -l workspace-id -d 'Set the id of the workspace, a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -l api-url -d 'Set the base URL of the API [default: `https://api.bird.com`]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -l access-key-file -d 'Read the access key from this file instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -l timeout -d 'Set the longest time of an install, a wait or a read, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -l sandbox -d 'Run against an embedded sandbox, without an account and without the network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -l json -d 'Print the result or the error as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l name -d 'Set the name of the connector' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l phone-number-id -d 'Set the id of the phone number, a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l use-case-id -d 'Set the id of the use case, a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l channel-message-type -d 'Set the type of the messages, such as `promotional` [default: none]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l conversational -d 'Set whether an incoming message opens a conversation in the inbox [default: the vendor\'s]' -r -f -a "true\t''
false\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l retry-create -d 'Set the server errors after which a creation is sent again' -r -f -a "never\t'After no server error'
default\t'After 500 and 503, which Bird calls safe to retry'"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l poll-interval -d 'Time between two polls of a connector, such as 1s [default: 0.2s, growing with its age to 1.5s]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l workspace-id -d 'Set the id of the workspace, a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l api-url -d 'Set the base URL of the API [default: `https://api.bird.com`]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l access-key-file -d 'Read the access key from this file instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l timeout -d 'Set the longest time of an install, a wait or a read, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -s q -l quiet -d 'Print no progress'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l sandbox -d 'Run against an embedded sandbox, without an account and without the network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l json -d 'Print the result or the error as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l poll-interval -d 'Time between two polls of a connector, such as 1s [default: 0.2s, growing with its age to 1.5s]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l workspace-id -d 'Set the id of the workspace, a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l api-url -d 'Set the base URL of the API [default: `https://api.bird.com`]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l access-key-file -d 'Read the access key from this file instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l timeout -d 'Set the longest time of an install, a wait or a read, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -s q -l quiet -d 'Print no progress'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l sandbox -d 'Run against an embedded sandbox, without an account and without the network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l json -d 'Print the result or the error as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l journal -d 'Write each step to this file before the next step is taken' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l out -d 'Write the outcome of each row to this file, or to standard output for `-`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l adopt -d 'Set the connector of a row whose outcome is unknown' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l posts-per-second -d 'Set the number of POSTs per second' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l gets-per-second -d 'Set the number of GETs per second' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l concurrency -d 'Set the number of installs in progress at a time [default: 400 for each GET per second, at most 100000]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l retry-create -d 'Set the server errors after which a creation is sent again' -r -f -a "never\t'After no server error'
default\t'After 500 and 503, which Bird calls safe to retry'"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l poll-interval -d 'Time between two polls of a connector, such as 1s [default: 0.2s, growing with its age to 1.5s]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l workspace-id -d 'Set the id of the workspace, a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l api-url -d 'Set the base URL of the API [default: `https://api.bird.com`]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l access-key-file -d 'Read the access key from this file instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l timeout -d 'Set the longest time of an install, a wait or a read, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l dry-run -d 'Check the rows and the journal, print what would be done, and send nothing'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l retry-unknown -d 'Retry the rows whose outcome is unknown. Each retry may create a second connector'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -s q -l quiet -d 'Print no progress'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l sandbox -d 'Run against an embedded sandbox, without an account and without the network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l json -d 'Print the result or the error as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l workspace-id -d 'Set the id of the workspace, a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l api-url -d 'Set the base URL of the API [default: `https://api.bird.com`]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l access-key-file -d 'Read the access key from this file instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l timeout -d 'Set the longest time of an install, a wait or a read, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l sandbox -d 'Run against an embedded sandbox, without an account and without the network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l json -d 'Print the result or the error as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l listen -d 'Set the address to listen at. Port 0 takes a free port' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l shell -d 'Set the shell for which the settings are printed' -r -f -a "sh\t'The POSIX shell, bash and zsh'
fish\t'The fish shell'
powershell\t'`PowerShell`'"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l provisioning-delay -d 'Set the time from a creation to its channel: 2s, 1s..5s (uniform) or ~2s (a long tail)' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l get-limit -d 'Set the number of GETs per second above which the response is 429' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l post-limit -d 'Set the number of POSTs per second above which the response is 429' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l use-case-required -d 'Require a use case for this phone number, as US 10DLC numbers do. May be given more than once' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l fault -d 'Inject a fault: `METHOD:KIND[xTIMES][@AFTER][#PHONE_NUMBER_ID]` or `random:SEED:PERCENT`' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l allow-remote -d 'Allow an address that is not a loopback address, such as 0.0.0.0:8080 in a container'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l json -d 'Print the settings as one JSON object, and each request as a JSON line'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand environment" -l color -d 'Set when to use colors: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand environment" -s v -l verbose -d 'Print a log to stderr'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand environment" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "check" -d 'Check the access key, the workspace and the connection, and create nothing'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "install" -d 'Install an SMS channel and print its id'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "wait" -d 'Wait for the channel of a connector that exists, and print the id of the channel'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "batch" -d 'Install many SMS channels from a file, as fast as the rate limits allow'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "connector" -d 'Print a connector'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "sandbox" -d 'Serve a local sandbox of the API'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "environment" -d 'Describe the environment variables'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from check install wait batch connector sandbox completions environment help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
