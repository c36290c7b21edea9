// Installs channels with fetch: URL INSTALLS CONCURRENCY.
const [url, installs, concurrency] = process.argv.slice(2);
const { BIRD_WORKSPACE_ID, BIRD_ACCESS_KEY, NUMBER, USE_CASE } = process.env;
const headers = { Authorization: `AccessKey ${BIRD_ACCESS_KEY}`, Accept: 'application/json' };
const path = `${url}/workspaces/${BIRD_WORKSPACE_ID}/connectors`;

async function json(response) {
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}

async function install() {
  const body = JSON.stringify({
    connectorTemplateRef: 'sms-messagebird:1',
    name: 'My SMS channel',
    arguments: { phoneNumberId: NUMBER, useCaseId: USE_CASE },
  });
  const post = { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body };
  const { id } = await json(await fetch(path, post));
  for (;;) {
    const { channel } = await json(await fetch(`${path}/${id}`, { headers }));
    if (channel?.channelId) return channel.channelId;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

let left = Number(installs);
let channel;
async function worker() {
  while (left-- > 0) channel = await install();
}
await Promise.all(Array.from({ length: Math.min(Number(concurrency), left) }, worker));
console.log(channel);
