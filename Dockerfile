# The search tool alone: page and HTTP API, without the pipeline. docs/search.md says how to run it.
FROM python:3.11.14-slim-bookworm

WORKDIR /app
COPY requirements-search.lock ./
RUN pip install --no-cache-dir --no-compile -r requirements-search.lock
COPY reid reid
COPY search search

# The index, the networks and the audit; mount a volume that this user may write to.
ENV SEARCH_FOLDER=/data
RUN useradd --uid 10001 --no-create-home reid && install -d -o reid /data
USER 10001
VOLUME /data

EXPOSE 8000
HEALTHCHECK --start-period=60s --interval=30s --timeout=5s CMD \
  ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# It refuses to start without REID_API_KEYS, because other machines can reach it.
ENTRYPOINT ["python", "-m", "reid"]
CMD ["serve", "--host", "0.0.0.0"]
