"""Installs a channel with the client of openapi-python-client, and prints the ids of the connector and the channel."""

import os
import time
from uuid import UUID

from bird import AuthenticatedClient
from bird.api.connectors import create_connector, get_connector
from bird.models import Connector, CreateConnectorReq, SmsArguments

client = AuthenticatedClient(
    base_url=os.environ["BIRD_API_URL"], token=os.environ["BIRD_ACCESS_KEY"], prefix="AccessKey"
)
workspace = UUID(os.environ["BIRD_WORKSPACE_ID"])
request = CreateConnectorReq(
    name="openapi-python-client",
    connector_template_ref="sms-messagebird:1",
    arguments=SmsArguments(phone_number_id=UUID("2cffb55c-120e-91a8-8f10-ed9d1b412d29")),
)
connector = create_connector.sync(workspace, client=client, body=request)
while isinstance(connector, Connector) and not (connector.channel and connector.channel.channel_id):
    time.sleep(0.1)
    connector = get_connector.sync(workspace, connector.id, client=client)
assert isinstance(connector, Connector), connector
print(connector.id, connector.channel.channel_id)
