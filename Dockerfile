# Built by itself: docker build -t permutation .
# A build for other machines: ggml is not tuned to the one that builds (PMT_NATIVE=OFF).
FROM debian:12-slim AS build
COPY tools/apt-packages.txt /packages/apt-packages.txt
RUN apt-get update \
 && sed -e 's/#.*//' /packages/apt-packages.txt | awk 'NF { print $1 }' | grep -vE '^(chromium|fonts-|clang-|shellcheck)' \
  | xargs apt-get install -y --no-install-recommends dpkg-dev file \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV PERMUTATION_HOME=/opt/permutation
RUN python3 tools/fetch.py --home "$PERMUTATION_HOME" \
 && cmake --preset release -DPMT_NATIVE=OFF \
      -DPMT_LLAMA_SOURCE="$PERMUTATION_HOME/src/llama-cpp-python-0.3.36/vendor/llama.cpp" \
 && ninja -C build/release permutation \
 && (cd build/release && cpack -G DEB)

FROM debian:12-slim
COPY --from=build /src/build/release/permutation_*.deb /packages/
RUN apt-get update \
 && apt-get install -y --no-install-recommends /packages/permutation_*.deb ca-certificates \
 && rm -rf /var/lib/apt/lists/* /packages/permutation_*.deb \
 && useradd --system --home-dir /var/lib/permutation --create-home permutation
COPY --from=build --chown=permutation /opt/permutation/models /var/lib/permutation/models
USER permutation
ENV PERMUTATION_HOME=/var/lib/permutation
WORKDIR /var/lib/permutation
EXPOSE 8080
VOLUME /var/lib/permutation/responses
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '200 OK' <&3"]
# A container's loopback is its own: it listens for its network, so give it a [[key]] in /etc/permutation.
ENTRYPOINT ["permutation"]
CMD ["serve", "--config", "/etc/permutation/permutation.toml", "--host", "0.0.0.0"]
