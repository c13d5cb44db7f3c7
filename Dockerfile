# docker build -t tfrs-scaling .                              for CPUs
# docker build -t tfrs-scaling-gpu --build-arg EXTRAS=[gpu] . with CUDA's libraries, for NVIDIA GPUs (run with --gpus all)
# docker run --rm -v "$PWD:/work" tfrs-scaling study smoke      in a folder that user 1000 may write, or with --user
# Checked with hadolint; no image was built of it yet.
FROM python:3.12-slim
ARG EXTRAS="[tensorflow]"
WORKDIR /opt/tfrs_scaling
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt ".${EXTRAS}" && useradd --create-home --uid 1000 study
USER 1000
WORKDIR /work
ENTRYPOINT ["tfrs-scaling"]
