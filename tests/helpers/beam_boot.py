"""Starts a worker of Apache Beam, as an engine asks for one that runs in a process: what Beam's containers do."""

import argparse

import grpc
from apache_beam.portability.api import beam_provision_api_pb2 as provision
from apache_beam.portability.api import beam_provision_api_pb2_grpc as service
from apache_beam.runners.worker.sdk_worker import SdkHarness


def main() -> None:
    """Ask the engine where the work is, and do it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    given, _ = parser.parse_known_args()
    stub = service.ProvisionServiceStub(grpc.insecure_channel(given.provision_endpoint))
    answer = stub.GetProvisionInfo(provision.GetProvisionInfoRequest(), metadata=[("worker_id", given.id)])
    SdkHarness(answer.info.control_endpoint.url, worker_id=given.id, data_buffer_time_limit_ms=-1).run()


if __name__ == "__main__":
    main()
