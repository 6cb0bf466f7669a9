# MRPC Lab in a container: docs/deploy.md, "A container", says how it is started and what was tried.
#
#   docker build -t mrpc-lab .                                                    torch for the CPU
#   docker build -t mrpc-lab --build-arg TORCH_INDEX=https://pypi.org/simple .    torch with CUDA

# The Python that the versions in constraints.txt were tested with.
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PYTHONUNBUFFERED=1

WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r requirements.txt -c constraints.txt
COPY app.py LICENSE ./
COPY assets assets
COPY docs docs
COPY mrpc mrpc
# Nobody can write into /app later on, and a read-only file system is one way to start this.
RUN python -m compileall -q app.py mrpc && mkdir /data && chown 1000:1000 /data

# Everything that is kept: runs, data of one's own, checkpoints of the Hub. Temporary files go to /tmp.
ENV MRPC_RUNS_DIR=/data/runs HF_HOME=/data/huggingface
VOLUME /data
USER 1000:1000
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 7860), 3)"]

# The app itself is the first process: on SIGTERM a training writes its checkpoint before all ends.
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "app.py", "--host", "0.0.0.0"]
