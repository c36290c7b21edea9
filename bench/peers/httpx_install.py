"""Installs channels with httpx: URL INSTALLS CONCURRENCY."""

import asyncio
import os
import sys

import httpx

URL, INSTALLS, CONCURRENCY = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
WORKSPACE, NUMBER, USE_CASE = (os.environ[name] for name in ("BIRD_WORKSPACE_ID", "NUMBER", "USE_CASE"))
HEADERS = {"Authorization": f"AccessKey {os.environ['BIRD_ACCESS_KEY']}", "Accept": "application/json"}


async def install(client):
    path = f"{URL}/workspaces/{WORKSPACE}/connectors"
    response = await client.post(
        path,
        json={
            "connectorTemplateRef": "sms-messagebird:1",
            "name": "My SMS channel",
            "arguments": {"phoneNumberId": NUMBER, "useCaseId": USE_CASE},
        },
    )
    response.raise_for_status()
    connector = response.json()["id"]
    while True:
        response = await client.get(f"{path}/{connector}")
        response.raise_for_status()
        channel = response.json().get("channel")
        if channel and channel.get("channelId"):
            return channel["channelId"]
        await asyncio.sleep(1)


async def main():
    async with httpx.AsyncClient(headers=HEADERS) as client:
        left = iter(range(INSTALLS))

        async def worker():
            for _ in left:
                channel = await install(client)
            return channel

        print((await asyncio.gather(*(worker() for _ in range(min(CONCURRENCY, INSTALLS)))))[0])


asyncio.run(main())
