# The package, made where there is Swift, and installed where there is none. See docs/install.md.
FROM swift:6.2-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
    dpkg-dev libopenblas-dev libopenmpi-dev libssl-dev openmpi-bin pkg-config python3 zlib1g-dev
COPY . /source
RUN DEBFULLNAME=moe-dist DEBEMAIL=root@localhost /source/scripts/make-deb --output /package

FROM debian:bookworm-slim
RUN --mount=type=bind,from=build,source=/package,target=/package \
    apt-get update && apt-get install -y --no-install-recommends ca-certificates curl /package/*.deb \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home moe && install -d -o moe /data
USER moe
WORKDIR /data
ENTRYPOINT ["moe-dist"]
CMD ["--help"]
