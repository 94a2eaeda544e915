"""What the seed's Python examples import, over our one route: each event is one update."""
import asyncio
import enum
import json
import os
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Optional


class DownloadStatus(enum.Enum):
    STARTING = "starting"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    COMPLETE = "complete"
    ERROR = "error"


@dataclass
class DownloadProgress:
    status: DownloadStatus
    message: str
    percent: Optional[float]
    downloaded_bytes: Optional[int]
    total_bytes: Optional[int]


async def download_model(provider, model, token=None, base_url=None):
    wanted = {"provider": provider, "model": model, "token": token, "base_url": base_url}
    query = urllib.parse.urlencode({key: value for key, value in wanted.items() if value is not None})
    url = f"{os.environ['MODELHAUL']}/api/models/download?{query}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with await asyncio.to_thread(opener.open, url) as stream:
        while line := await asyncio.to_thread(stream.readline):
            data = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            if "status" in data:
                yield DownloadProgress(
                    status=DownloadStatus(data["status"]),
                    message=data["message"],
                    percent=data["percent"],
                    downloaded_bytes=data["downloaded_bytes"],
                    total_bytes=data["total_bytes"],
                )
