# The program, the library and torch_grapes on Debian 12: the first stage builds the Debian package, the second installs it.
#   docker build -t grapes .
#   docker run --rm -v "$PWD:/work" grapes compare --arms bp,grapes --seeds 5
FROM debian:12-slim AS build
WORKDIR /source
# hadolint ignore=DL3008  # a stable Debian gives one version of each package, with its security fixes
RUN apt-get update && apt-get install --yes --no-install-recommends make git ca-certificates && rm -rf /var/lib/apt/lists/*
# By itself, so that a change of the source does not install the packages again.
COPY scripts/bootstrap scripts/
RUN scripts/bootstrap && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release -DBUILD_TESTING=OFF && cmake --build --preset release && cpack --preset deb

FROM debian:12-slim
# The package comes from a mount: a COPY would keep it in a layer.
RUN --mount=type=bind,from=build,source=/source/build,target=/package \
    apt-get update && apt-get install --yes --no-install-recommends /package/grapes_*.deb && rm -rf /var/lib/apt/lists/*
WORKDIR /work
ENTRYPOINT ["grapes"]
CMD ["--help"]
