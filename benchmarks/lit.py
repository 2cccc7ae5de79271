"""The LitServe server that `benchmarks.peers` compares with: its own batching, a worker process a core."""

import litserve
from fastapi import Request

from api.engine import usable_cores
from benchmarks.answerer import BATCH, PORT, answerer


class Api(litserve.LitAPI):  # type: ignore[misc]
    """Answers photos, gathered into batches by LitServe."""

    def setup(self, device: str) -> None:
        self.answer = answerer()

    def decode_request(self, request: Request) -> bytes:
        content: bytes = request["photo"].file.read()
        return content

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return list(inputs)

    def predict(self, photos: list[bytes]) -> list[str]:
        return self.answer(photos)

    def unbatch(self, output: list[str]) -> list[str]:
        return output

    def encode_response(self, output: str) -> dict[str, str]:
        return {"sub": output}


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH, batch_timeout=0.01)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=usable_cores())
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False)
