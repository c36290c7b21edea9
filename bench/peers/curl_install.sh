# Installs channels as the vendor's documentation shows, with jq to find the ids: URL INSTALLS.
set -euo pipefail
path="$1/workspaces/$BIRD_WORKSPACE_ID/connectors"
for _ in $(seq "$2"); do
  id=$(curl -sf "$path" -H "Authorization: AccessKey $BIRD_ACCESS_KEY" -H 'Content-Type: application/json' --data "{
    \"connectorTemplateRef\": \"sms-messagebird:1\", \"name\": \"My SMS channel\",
    \"arguments\": {\"phoneNumberId\": \"$NUMBER\", \"useCaseId\": \"$USE_CASE\"}}" | jq -r .id)
  channel=$(curl -sf "$path/$id" -H "Authorization: AccessKey $BIRD_ACCESS_KEY" | jq -r .channel.channelId)
done
echo "$channel"
