FROM python:3.12-slim AS build

WORKDIR /src
RUN python -m venv /opt/mdp
COPY requirements.lock ./
# uv comes from the lock file, as on a developer's machine; it installs what the lock names, except itself.
RUN sed -n '/^uv==/,/# via/p' requirements.lock > /tmp/uv.txt \
 && pip install --no-cache-dir --require-hashes -r /tmp/uv.txt \
 && uv pip sync --no-cache --compile-bytecode --python /opt/mdp/bin/python --require-hashes requirements.lock \
 && uv pip uninstall --python /opt/mdp/bin/python uv
COPY . .
RUN uv pip install --no-cache --compile-bytecode --python /opt/mdp/bin/python --offline --no-deps .


FROM python:3.12-slim

COPY --from=build /opt/mdp /opt/mdp
COPY configs /app/configs
# Saved state belongs to the user that runs the worker; a new volume takes owner and mode from this folder.
RUN useradd --system --uid 10001 --no-create-home mdp \
 && install -d -o mdp -g mdp -m 0700 /var/lib/mdp
ENV PATH=/opt/mdp/bin:$PATH \
    MDP_HOME=/var/lib/mdp \
    MPLCONFIGDIR=/tmp \
    NUMBA_CACHE_DIR=/var/lib/mdp/compiled \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER mdp
VOLUME /var/lib/mdp
EXPOSE 8501 9101
ENTRYPOINT ["mdp"]
CMD ["stream", "run"]
