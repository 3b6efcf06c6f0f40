# Built by itself: docker build -t permutation .
# A build for other machines: ggml is not tuned to the one that builds (PMT_NATIVE=OFF).
FROM debian:12-slim AS build
COPY tools/apt-packages.txt /packages/
# Without what only a developer's checkout needs.
RUN apt-get update \
 && sed -e 's/#.*//' /packages/apt-packages.txt | awk 'NF { print $1 }' | grep -vxE 'bubblewrap|ccache|git' \
  | xargs apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
ENV PERMUTATION_HOME=/opt/permutation
COPY tools tools
RUN python3 tools/fetch.py --home "$PERMUTATION_HOME"
COPY . .
RUN cmake --preset release -DPMT_NATIVE=OFF \
      -DPMT_LLAMA_SOURCE="$PERMUTATION_HOME/src/llama-cpp-python-0.3.36/vendor/llama.cpp" \
 && ninja -C build/release permutation \
 && (cd build/release && cpack -G DEB -D CPACK_COMPONENTS_ALL=permutation)

FROM debian:12-slim
COPY --from=build /src/build/release/permutation_*.deb /packages/
# python3: the sandbox of programs that a model writes (pydantic-monty: a container is refused namespaces of its own).
RUN apt-get update \
 && apt-get install -y --no-install-recommends /packages/permutation_*.deb ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /packages \
 && useradd --system --home-dir /var/lib/permutation --create-home permutation \
 && cd /var/lib/permutation && mkdir responses knowledge calibrations \
 && chown permutation: responses knowledge calibrations
COPY --from=build /opt/permutation/models /var/lib/permutation/models
COPY --from=build /opt/permutation/sandbox /var/lib/permutation/sandbox
USER permutation
ENV PERMUTATION_HOME=/var/lib/permutation
WORKDIR /var/lib/permutation
EXPOSE 8080
# All that it writes; a volume of its own begins as the folder of the image: owned by the user above.
VOLUME ["/var/lib/permutation/responses", "/var/lib/permutation/knowledge", "/var/lib/permutation/calibrations"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '200 OK' <&3"]
# A container's loopback is its own: it listens for its network, so give it a [[key]] in /etc/permutation.
ENTRYPOINT ["permutation"]
CMD ["serve", "--config", "/etc/permutation/permutation.toml", "--host", "0.0.0.0"]
