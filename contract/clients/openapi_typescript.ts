// Installs a channel with openapi-fetch and the types of openapi-typescript, and prints the ids of the connector
// and the channel.

import createClient from "openapi-fetch";
import type { paths } from "./bird.js";

const { BIRD_API_URL, BIRD_ACCESS_KEY, BIRD_WORKSPACE_ID } = process.env as Record<string, string>;
const client = createClient<paths>({
  baseUrl: BIRD_API_URL,
  headers: { Authorization: `AccessKey ${BIRD_ACCESS_KEY}` },
});
const workspace = { workspaceId: BIRD_WORKSPACE_ID };
let { data: connector, error } = await client.POST("/workspaces/{workspaceId}/connectors", {
  params: { path: workspace },
  body: {
    name: "openapi-typescript",
    connectorTemplateRef: "sms-messagebird:1",
    arguments: { phoneNumberId: "2cffb55c-120e-91a8-8f10-ed9d1b412d29" },
  },
});
while (connector && !connector.channel?.channelId) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  ({ data: connector, error } = await client.GET("/workspaces/{workspaceId}/connectors/{connectorId}", {
    params: { path: { ...workspace, connectorId: connector.id } },
  }));
}
if (!connector) throw new Error(JSON.stringify(error));
console.log(connector.id, connector.channel?.channelId);
