"""Installs a channel with the client of openapi-generator, and prints the ids of the connector and the channel."""

import os
import time

from openapi_client import ApiClient, Configuration, ConnectorsApi, CreateConnectorReq
from openapi_client import CreateConnectorReqArguments, SmsArguments

client = ApiClient(Configuration(host=os.environ["BIRD_API_URL"]))
# The generator knows no HTTP scheme but basic, bearer and signature.
client.set_default_header("Authorization", "AccessKey " + os.environ["BIRD_ACCESS_KEY"])
connectors = ConnectorsApi(client)
workspace = os.environ["BIRD_WORKSPACE_ID"]
arguments = SmsArguments(phoneNumberId="2cffb55c-120e-91a8-8f10-ed9d1b412d29")
connector = connectors.create_connector(
    workspace,
    CreateConnectorReq(
        name="openapi-generator",
        connectorTemplateRef="sms-messagebird:1",
        arguments=CreateConnectorReqArguments(arguments),
    ),
)
while connector.channel is None or connector.channel.channel_id is None:
    time.sleep(0.1)
    connector = connectors.get_connector(workspace, connector.id)
print(connector.id, connector.channel.channel_id)
