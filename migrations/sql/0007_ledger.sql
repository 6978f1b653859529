-- What people used, by the hour. Pods count in memory and flush what was added since; a row only grows, until its age ends it.
--
--   flush n of a pod ──▶ applied, `pod.last_seq` = n ──▶ n comes again, because its answer was lost: counts nothing
--
-- The two are one transaction, so a flush counts exactly once. A pod's row is kept as long as its journal may be replayed:
-- the journal's lines before the boundary `last_seq` are counted, those after it are not.

ALTER TABLE pod ADD COLUMN last_seq bigint NOT NULL DEFAULT 0;

CREATE TABLE usage_hour (
    subject text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    upstream text COLLATE "C" NOT NULL,
    -- UTC, in which the replies began.
    hour timestamptz NOT NULL,
    requests bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_5m_tokens bigint NOT NULL,
    cache_write_1h_tokens bigint NOT NULL,
    web_search_requests bigint NOT NULL,
    PRIMARY KEY (subject, hour, model, upstream)
) WITH (fillfactor = 70);

CREATE INDEX usage_hour_hour ON usage_hour (hour);
