# The service on scratch: one static program, no shell, uid 65532.
#
# Base images come by ARG, so that a release pins them by digest and a test brings its own:
#   --build-arg RUST_IMAGE="$(scripts/gate image/digest rust:1.95.0-slim-bookworm)"
# The tag's Rust is the one of rust-toolchain.toml.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm

# Each platform builds on itself (natively, or emulated), so no cross compiler is needed. An explicit target keeps the
# flags below from build scripts and procedural macros, which cannot be static.
FROM ${RUST_IMAGE} AS build
ARG TARGETARCH
WORKDIR /build
# Packed relocations: 0.2 MB less.
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" \
    CARGO_INCREMENTAL=0
RUN case "${TARGETARCH}" in \
      amd64) echo x86_64-unknown-linux-gnu ;; \
      arm64) echo aarch64-unknown-linux-gnu ;; \
      *) echo "no target for ${TARGETARCH}" >&2; exit 1 ;; \
    esac >/target

# cargo-auditable writes the list of dependencies into the program, where scanners find it. Empty: without. For the
# target too: without one, the flags above would reach its procedural macros.
ARG CARGO_AUDITABLE=0.7.7
RUN if [ -n "${CARGO_AUDITABLE}" ]; then cargo install --locked --target "$(cat /target)" --root /usr/local "cargo-auditable@${CARGO_AUDITABLE}"; fi

# Dependencies first, with a program that does nothing: this layer lasts until Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
# Members of the workspace, whose manifests cargo reads.
COPY crates crates
COPY template/examples template/examples
RUN mkdir src && echo 'fn main() {}' >src/main.rs && touch src/lib.rs \
    && cargo ${CARGO_AUDITABLE:+auditable} build --locked --release --bin server --target "$(cat /target)" \
    && rm -r src

# What /metrics and /version name; declared this late so that a commit does not build the dependencies anew.
ARG SERVICE_COMMIT=unknown
ARG TEMPLATE_COMMIT=unknown
COPY src src
COPY deploy/image.toml deploy/image.toml
# Names of data, of drop glue and of what formats values go: a backtrace is no worse without them, and they are 0.7 MB.
# Those of all other functions stay.
RUN find src -name '*.rs' -exec touch {} + \
    && SERVICE_COMMIT="${SERVICE_COMMIT}" TEMPLATE_COMMIT="${TEMPLATE_COMMIT}" \
       cargo ${CARGO_AUDITABLE:+auditable} build --locked --release --bin server --target "$(cat /target)" \
    && install -m 0755 "target/$(cat /target)/release/server" /server \
    && nm /server >/symbols \
    && awk '$2 !~ /[tTwW]/ || $3 ~ /drop_in_place|core\.\.fmt\.\.[A-Za-z]+[$]GT[$]3fmt17h/ { print $3 }' /symbols >/unneeded-symbols \
    && objcopy --strip-symbols=/unneeded-symbols /server \
    && install -D -m 0755 /server /image/server \
    && install -D -m 0644 deploy/image.toml /image/etc/service/image.toml \
    && /image/server --version \
    && /image/server check --config /image/etc/service/image.toml

# No CA bundle and no time zones: the service speaks plain HTTP inside the cluster, and UTC.
FROM scratch
ARG IMAGE_TITLE=service
ARG IMAGE_SOURCE=""
ARG IMAGE_VERSION=unknown
ARG IMAGE_CREATED=""
ARG SERVICE_COMMIT=unknown
LABEL org.opencontainers.image.title="${IMAGE_TITLE}" \
      org.opencontainers.image.description="A load-balanced, container-native HTTP service" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="${IMAGE_SOURCE}" \
      org.opencontainers.image.version="${IMAGE_VERSION}" \
      org.opencontainers.image.revision="${SERVICE_COMMIT}" \
      org.opencontainers.image.created="${IMAGE_CREATED}"
# One layer: the program, and what a container needs beyond its defaults.
COPY --from=build /image/ /
USER 65532:65532
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# For runtimes without probes; Kubernetes has its own. Kept in images of the Docker format only.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/server", "healthcheck", "--config", "/etc/service/image.toml"]
ENTRYPOINT ["/server"]
# A file, and no ENV: arguments of a run take its place, as the chart's do, and its `config` is not overridden.
CMD ["run", "--config", "/etc/service/image.toml"]
