#!/usr/bin/env bash
# Makes docs/inspector.png: a screenshot of the sandbox's inspector after real installs. Needs chromium and curl.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --locked -p bird-sms-cli
bird_sms=${CARGO_TARGET_DIR:-target}/debug/bird-sms
scratch=$(mktemp -d)
trap 'kill %1; rm -rf "$scratch"' EXIT

"$bird_sms" sandbox --provisioning-delay 1s --fault post:503 --fault get:reset@3 >"$scratch/exports" &
until [[ $(wc -l <"$scratch/exports") -eq 3 ]]; do sleep 0.1; done
# shellcheck source=/dev/null
source "$scratch/exports"

install() { "$bird_sms" install --name "$1" --phone-number-id "$2" --use-case-id be123b02-dacf-31f9-b3e5-50b18260bc23; }
post() { curl --silent --fail --output /dev/null --header 'Content-Type: application/json' --header "Authorization: AccessKey $BIRD_ACCESS_KEY" --data "$2" "$BIRD_API_URL/_sandbox/$1"; }
install "Support" 2cffb55c-120e-91a8-8f10-ed9d1b412d29
install "Alerts" 7b1f0b5e-3a52-4c0e-9d43-5f4f0c9a1e10
post connectors '{"name": "Marketing", "phoneNumberId": "c0a8f3de-64c1-4f9b-8a57-1f0e2d3c4b5a", "provisioningDelay": "1h"}'
post faults '{"fault": "post:409#5e0d7c7a-93a1-4b8e-b1c2-0d9f8e7a6b54"}'
post faults '{"fault": "get:503x2"}'

# Root cannot use the sandbox of Chromium.
[[ $EUID -ne 0 ]] || set -- --no-sandbox
chromium --headless "$@" --hide-scrollbars --user-data-dir="$scratch/profile" --window-size=1200,770 \
    --virtual-time-budget=3000 --screenshot=docs/inspector.png "$BIRD_API_URL/_sandbox/" 2>"$scratch/log" || {
    cat "$scratch/log" >&2
    exit 1
}
