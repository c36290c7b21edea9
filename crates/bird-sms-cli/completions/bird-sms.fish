# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bird_sms_global_optspecs
    string join \n workspace-id= api-url= access-key-file= timeout= poll-interval= json v/verbose sandbox h/help V/version
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

complete -c bird-sms -n "__fish_bird_sms_needs_command" -l workspace-id -d 'The workspace: a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_needs_command" -l api-url -d 'Where the API is, if it is not Bird\'s own' -r
complete -c bird-sms -n "__fish_bird_sms_needs_command" -l access-key-file -d 'A file that holds the access key, instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_needs_command" -l timeout -d 'How long an install or a wait may take in all, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_needs_command" -l poll-interval -d 'How long to wait before the first look at a connector; the waits grow from there to 5s' -r
complete -c bird-sms -n "__fish_bird_sms_needs_command" -l json -d 'Print the result, and an error, as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -s v -l verbose -d 'Trace what happens to stderr; twice for every detail (without it, `RUST_LOG` is obeyed)'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -l sandbox -d 'Run against an embedded sandbox: no account, no network'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -s h -l help -d 'Print help'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -s V -l version -d 'Print version'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "install" -d 'Install an SMS channel and print its id'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "wait" -d 'Go on waiting for the channel of a connector that exists, and print its id'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "batch" -d 'Install many SMS channels, from a file, at the speed that the limits allow'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "connector" -d 'Show a connector'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "sandbox" -d 'Serve a local Bird to try things out with'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "completions" -d 'Print the completions for a shell'
complete -c bird-sms -n "__fish_bird_sms_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l name -d 'The name of the connector' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l phone-number-id -d 'The phone number to install: a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l use-case-id -d 'The use case of the number: a UUID. US 10DLC and toll-free numbers need one' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l channel-message-type -d 'The kind of traffic, such as `promotional`' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l conversational -d 'Whether an incoming message opens a conversation in the inbox' -r -f -a "true\t''
false\t''"
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l workspace-id -d 'The workspace: a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l api-url -d 'Where the API is, if it is not Bird\'s own' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l access-key-file -d 'A file that holds the access key, instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l timeout -d 'How long an install or a wait may take in all, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l poll-interval -d 'How long to wait before the first look at a connector; the waits grow from there to 5s' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l json -d 'Print the result, and an error, as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -s v -l verbose -d 'Trace what happens to stderr; twice for every detail (without it, `RUST_LOG` is obeyed)'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -l sandbox -d 'Run against an embedded sandbox: no account, no network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand install" -s h -l help -d 'Print help'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l workspace-id -d 'The workspace: a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l api-url -d 'Where the API is, if it is not Bird\'s own' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l access-key-file -d 'A file that holds the access key, instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l timeout -d 'How long an install or a wait may take in all, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l poll-interval -d 'How long to wait before the first look at a connector; the waits grow from there to 5s' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l json -d 'Print the result, and an error, as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -s v -l verbose -d 'Trace what happens to stderr; twice for every detail (without it, `RUST_LOG` is obeyed)'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -l sandbox -d 'Run against an embedded sandbox: no account, no network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand wait" -s h -l help -d 'Print help'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l journal -d 'Where each step is recorded before the next; the same command with the same journal goes on' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l out -d 'Where to write the outcome of each row: CSV, or JSON Lines for *.jsonl; `-` is standard output' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l adopt -d 'The connector of a row whose outcome is unknown, as the dashboard shows it; may be given more than once' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l posts-per-second -d 'How many creations a second the workspace takes' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l gets-per-second -d 'How many looks at a connector a second the workspace takes' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l concurrency -d 'How many installs are under way at a time [default: 20 for each look a second]' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l workspace-id -d 'The workspace: a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l api-url -d 'Where the API is, if it is not Bird\'s own' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l access-key-file -d 'A file that holds the access key, instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l timeout -d 'How long an install or a wait may take in all, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l poll-interval -d 'How long to wait before the first look at a connector; the waits grow from there to 5s' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l dry-run -d 'Check the rows and the journal, say what would be done, and send nothing'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l retry-unknown -d 'Install rows again of which an earlier run does not know whether it created a connector'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l json -d 'Print the result, and an error, as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -s v -l verbose -d 'Trace what happens to stderr; twice for every detail (without it, `RUST_LOG` is obeyed)'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -l sandbox -d 'Run against an embedded sandbox: no account, no network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand batch" -s h -l help -d 'Print help'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l workspace-id -d 'The workspace: a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l api-url -d 'Where the API is, if it is not Bird\'s own' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l access-key-file -d 'A file that holds the access key, instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l timeout -d 'How long an install or a wait may take in all, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l poll-interval -d 'How long to wait before the first look at a connector; the waits grow from there to 5s' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l json -d 'Print the result, and an error, as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -s v -l verbose -d 'Trace what happens to stderr; twice for every detail (without it, `RUST_LOG` is obeyed)'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -l sandbox -d 'Run against an embedded sandbox: no account, no network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand connector" -s h -l help -d 'Print help'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l listen -d 'Where to listen: a loopback address; port 0 takes a free one' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l provisioning-delay -d 'How long after its creation a connector gets its channel: 2s, 1s..5s (evenly), ~2s (a long tail)' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l get-limit -d 'How many GETs a second are answered before a 429' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l post-limit -d 'How many POSTs a second are answered before a 429' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l fault -d 'What goes wrong, such as `post:503x2` or `get:reset`; may be given more than once' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l workspace-id -d 'The workspace: a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l api-url -d 'Where the API is, if it is not Bird\'s own' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l access-key-file -d 'A file that holds the access key, instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l timeout -d 'How long an install or a wait may take in all, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l poll-interval -d 'How long to wait before the first look at a connector; the waits grow from there to 5s' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l json -d 'Print the result, and an error, as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -s v -l verbose -d 'Trace what happens to stderr; twice for every detail (without it, `RUST_LOG` is obeyed)'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -l sandbox -d 'Run against an embedded sandbox: no account, no network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand sandbox" -s h -l help -d 'Print help'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -l workspace-id -d 'The workspace: a UUID' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -l api-url -d 'Where the API is, if it is not Bird\'s own' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -l access-key-file -d 'A file that holds the access key, instead of `BIRD_ACCESS_KEY`' -r -F
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -l timeout -d 'How long an install or a wait may take in all, such as 90s or 2m' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -l poll-interval -d 'How long to wait before the first look at a connector; the waits grow from there to 5s' -r
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -l json -d 'Print the result, and an error, as one JSON object'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -s v -l verbose -d 'Trace what happens to stderr; twice for every detail (without it, `RUST_LOG` is obeyed)'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -l sandbox -d 'Run against an embedded sandbox: no account, no network'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand completions" -s h -l help -d 'Print help'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from install wait batch connector sandbox completions help" -f -a "install" -d 'Install an SMS channel and print its id'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from install wait batch connector sandbox completions help" -f -a "wait" -d 'Go on waiting for the channel of a connector that exists, and print its id'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from install wait batch connector sandbox completions help" -f -a "batch" -d 'Install many SMS channels, from a file, at the speed that the limits allow'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from install wait batch connector sandbox completions help" -f -a "connector" -d 'Show a connector'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from install wait batch connector sandbox completions help" -f -a "sandbox" -d 'Serve a local Bird to try things out with'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from install wait batch connector sandbox completions help" -f -a "completions" -d 'Print the completions for a shell'
complete -c bird-sms -n "__fish_bird_sms_using_subcommand help; and not __fish_seen_subcommand_from install wait batch connector sandbox completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
