-- How much somebody has done in the current window, counted for all pods together: a window opens with its first act and is
-- over when its time is; the next act opens another.

CREATE TABLE rate_window (
    scope text NOT NULL,
    key text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (scope, key)
) WITH (fillfactor = 50);

CREATE INDEX rate_window_ends_at ON rate_window (ends_at);
