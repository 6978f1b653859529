-- A pod is born (a row under a new random incarnation), says once a second that it lives (`seen_at`), and is not heard of
-- again. Nobody ends a row: a pod not seen for ten seconds counts in no status, and after a day any pod deletes it.

CREATE TABLE pod (
    incarnation text PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    -- The ids of the session keys it knows, the signing one first: keys rotate in steps that wait for every pod.
    session_keys text[] NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX pod_seen_at ON pod (seen_at);
