-- A limit of one person, held by many pods as by one. `limit_state` says how much is used and how much is granted to pods;
-- a `share` is what one pod may use without asking, a lease that its flushes renew.
--
--             a pod flushes                     its lease ends, and another pod flushes
--   no share ──────────────▶ granted, held ────────────────────────────────────────────▶ charged: what it held
--      ▲                        │      ▲                                                       │  │
--      │ closed, or ended       │      └──────────── it is back, and says what it spent ───────┘  │
--      │ with nothing held      │                                                                 │
--      └────────────────────────┴──────────────── its journal is replayed, or the period is over ─┘
--
-- limit = used + granted + what may still be granted; `limit_state.granted` is the sum of the shares' and is what a grant is
-- decided by: the row is locked first, in the order of the keys, and a share changes only under its row's lock.
-- Amounts are whole numbers. A minute's limit is a bucket that refills continuously and `since` is up to where it has;
-- else `since` is the start of the period, in UTC. What is held `always` (places) is never used up.

CREATE TABLE limit_state (
    subject text COLLATE "C" NOT NULL,
    meter text COLLATE "C" NOT NULL,
    period text NOT NULL CHECK (period IN ('minute', 'day', 'month', 'always')),
    "limit" bigint NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    granted bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL,
    touched_at timestamptz NOT NULL,
    PRIMARY KEY (subject, meter)
) WITH (fillfactor = 50);

CREATE TABLE share (
    subject text COLLATE "C" NOT NULL,
    meter text COLLATE "C" NOT NULL,
    incarnation text COLLATE "C" NOT NULL,
    granted bigint NOT NULL,
    -- Of it, by requests under way at the last flush.
    held bigint NOT NULL,
    lease_until timestamptz NOT NULL,
    -- What a request of this pod waits for; 0: none waits.
    needed bigint NOT NULL,
    wanted_until timestamptz NOT NULL,
    -- Nothing is granted or held any more; this much of `used` is a guess.
    charged bigint NOT NULL DEFAULT 0,
    charged_at timestamptz,
    PRIMARY KEY (subject, meter, incarnation),
    FOREIGN KEY (subject, meter) REFERENCES limit_state ON DELETE CASCADE
) WITH (fillfactor = 50);

CREATE INDEX share_incarnation ON share (incarnation);

-- Carries out a pod's flush: what was used, and a report for each share. The pod's state machine and this one are explained
-- in the gateway, `spend/escrow/row.rs`; tests hold the two against each other, step by step.
--
-- `at_time` is for those tests; pods leave it out. A pod that lied about the time could as well write the rows.
CREATE FUNCTION flush(
    flushed_by text,
    flush_sequence bigint,
    usages jsonb,
    reports jsonb,
    lease_time interval,
    want_time interval,
    at_time timestamptz DEFAULT NULL
) RETURNS TABLE (
    subject text,
    meter text,
    granted bigint,
    "limit" bigint,
    used bigint,
    granted_to_all bigint,
    idle_elsewhere bigint,
    wanted_elsewhere boolean,
    resets_in bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    last_sequence bigint;
    is_again boolean;
    moment timestamptz;
    live_pods bigint;
BEGIN
    -- Two tries of one flush come one after the other. Not by the pod's row: its heartbeat must never wait for a flush.
    PERFORM pg_advisory_xact_lock(hashtextextended(current_schema() || ' flush of ' || flushed_by, 0));
    SELECT last_seq INTO last_sequence FROM pod WHERE incarnation = flushed_by;
    IF flush_sequence < last_sequence THEN
        RETURN; -- It was on its way for so long that nobody waits for its answer.
    END IF;
    is_again := flush_sequence = coalesce(last_sequence, 0);

    -- Locks each row, or makes it. A row that another transaction has just deleted is made again, so none is missed below.
    moment := coalesce(at_time, clock_timestamp());
    INSERT INTO limit_state AS s (subject, meter, period, "limit", since, touched_at)
    SELECT subject, meter, period, "limit",
        CASE period
            WHEN 'minute' THEN moment
            WHEN 'always' THEN to_timestamp(0)
            ELSE date_trunc(period, moment, 'UTC')
        END,
        moment
    FROM jsonb_to_recordset(reports) AS r(subject text, meter text, period text, "limit" bigint)
    ORDER BY subject COLLATE "C", meter COLLATE "C"
    ON CONFLICT (subject, meter) DO UPDATE SET touched_at = s.touched_at WHERE false;

    -- After the locks: what others committed meanwhile is not in the future.
    moment := coalesce(at_time, clock_timestamp());
    SELECT greatest(count(*), 1) INTO live_pods FROM pod WHERE seen_at > moment - interval '10 seconds';

    -- A statement of its own, so that it sees the shares as the locks found them.
    RETURN QUERY
    WITH report AS MATERIALIZED (
        SELECT subject, meter, "limit", held, wanted, needed, closed,
            CASE WHEN is_again THEN 0 ELSE spent END AS spent,
            CASE WHEN is_again THEN 0 ELSE given_back END AS given_back
        FROM jsonb_to_recordset(reports) AS r(
            subject text, meter text, "limit" bigint, spent bigint, held bigint, given_back bigint, wanted bigint,
            needed bigint, closed boolean
        )
    ), rolled AS (
        -- The period that `moment` is in, or the bucket refilled up to it: the part of an amount that is refilled already
        -- counts next time.
        SELECT r.subject, r.meter, r."limit", r.held, r.wanted, r.needed, r.closed, r.spent, r.given_back, s.period,
            s."limit" - s.used - s.granted AS left_before, s.granted,
            CASE WHEN change.is_whole THEN 0 ELSE (s.used - change.refilled)::bigint END AS used,
            CASE
                WHEN s.period = 'minute' AND change.is_whole THEN moment
                WHEN change.is_whole THEN change.start
                ELSE s.since + ceil(change.refilled * 60000000 / greatest(r."limit", 1))::float8 * interval '1 microsecond'
            END AS since
        FROM report r
        JOIN limit_state s ON s.subject = r.subject AND s.meter = r.meter
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN s.period = 'minute' THEN
                    div(greatest(r."limit", 0)::numeric
                        * greatest(round(extract(epoch FROM moment - s.since)::numeric * 1000000), 0), 60000000)
                ELSE 0 END AS refill,
                CASE s.period
                    WHEN 'minute' THEN NULL
                    WHEN 'always' THEN to_timestamp(0)
                    ELSE date_trunc(s.period, moment, 'UTC')
                END AS start
        ) due
        CROSS JOIN LATERAL (
            SELECT due.refill AS refilled, due.start,
                CASE s.period
                    WHEN 'minute' THEN moment > s.since AND r."limit" > 0 AND due.refill >= s.used
                    ELSE due.start > s.since
                END AS is_whole
        ) change
    ), lease AS MATERIALIZED (
        SELECT l.subject, l.meter, l.incarnation, l.granted, l.held, l.needed, l.charged, l.charged_at,
            l.incarnation = flushed_by AS is_own,
            l.incarnation = flushed_by AND r.closed AS is_closed,
            l.needed > 0 AND moment < l.wanted_until AS wants,
            l.incarnation <> flushed_by AND l.lease_until <= moment AND l.charged = 0 AS is_ended,
            CASE WHEN r.period = 'always' THEN 0 ELSE l.held END AS charge,
            -- A guess that is past: its period is over, or the bucket has refilled it.
            l.incarnation <> flushed_by AND l.charged <> 0 AND CASE r.period
                WHEN 'minute' THEN div(greatest(r."limit", 0)::numeric
                    * greatest(round(extract(epoch FROM moment - l.charged_at)::numeric * 1000000), 0), 60000000) >= l.charged
                ELSE l.charged_at < r.since
            END AS is_past,
            r.left_before
        FROM share l
        JOIN rolled r ON l.subject = r.subject AND l.meter = r.meter
    ), other AS (
        SELECT subject, meter,
            coalesce(sum(granted) FILTER (WHERE is_ended), 0)::bigint AS returned,
            coalesce(sum(charge) FILTER (WHERE is_ended), 0)::bigint AS charge,
            coalesce(sum(greatest(granted - held, 0)) FILTER (WHERE NOT is_ended), 0)::bigint AS idle,
            coalesce(bool_or(wants) FILTER (WHERE NOT is_ended), false) AS wants,
            min(needed) FILTER (WHERE NOT is_ended AND wants AND needed > left_before) AS least_needed
        FROM lease
        WHERE NOT is_own
        GROUP BY subject, meter
    ), settled AS (
        -- What the report says of the past: no charge by guess any more, what was spent, what is given back. A share is never
        -- less than what is held in it.
        SELECT r.*, own.needed AS own_needed, coalesce(own.wants, false) AS had_wanted,
            coalesce(other.idle, 0) AS idle_elsewhere, coalesce(other.wants, false) AS wanted_elsewhere, other.least_needed,
            greatest(r.used + coalesce(other.charge, 0) - undo.amount + r.spent, 0) AS used_now, rest.amount AS rest,
            r.granted - coalesce(other.returned, 0) - coalesce(own.granted, 0) + rest.amount AS granted_now
        FROM rolled r
        LEFT JOIN other ON other.subject = r.subject AND other.meter = r.meter
        LEFT JOIN lease own ON own.is_own AND own.subject = r.subject AND own.meter = r.meter
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN coalesce(own.charged, 0) = 0 THEN 0
                WHEN r.period = 'minute' THEN greatest(own.charged - div(
                    greatest(r."limit", 0)::numeric
                        * greatest(round(extract(epoch FROM moment - own.charged_at)::numeric * 1000000), 0), 60000000), 0)::bigint
                WHEN own.charged_at < r.since THEN 0
                ELSE own.charged
            END AS amount
        ) undo
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN r.closed THEN 0
                ELSE greatest(coalesce(own.granted, 0) - r.spent - r.given_back, r.held)
            END AS amount
        ) rest
    ), decided AS (
        -- NULL: a request has to wait, because a part of what it needs would lie idle.
        SELECT s.*, whole.is_asked AS asks_whole,
            CASE
                WHEN is_again OR s.closed THEN NULL
                WHEN whole.is_asked THEN
                    CASE WHEN s.used_now = 0 AND s.granted_now = s.rest AND s.held = 0 THEN s."limit" - s.rest END
                WHEN s.needed > s."limit" - s.used_now - s.granted_now THEN CASE WHEN s.needed = 0 THEN 0 END
                ELSE least(
                    greatest(s.wanted, 0, CASE
                        WHEN s.wanted_elsewhere THEN 0
                        ELSE (s."limit" - s.used_now) / (2 * live_pods) - (s.rest - s.held)
                    END),
                    s."limit" - s.used_now - s.granted_now
                )
            END AS amount
        FROM settled s
        CROSS JOIN LATERAL (
            SELECT s.needed > 0 AND s."limit" > 0 AND s.rest - s.held + s.needed > s."limit" AS is_asked
        ) whole
    ), outcome AS MATERIALIZED (
        SELECT d.subject, d.meter, d.period, d."limit", d.used_now AS used, d.since, d.held, d.closed, d.had_wanted,
            d.idle_elsewhere, d.wanted_elsewhere, d.least_needed,
            d.rest + coalesce(d.amount, 0) AS granted,
            d.granted_now + coalesce(d.amount, 0) AS granted_to_all,
            CASE
                WHEN is_again THEN coalesce(d.own_needed, 0)
                WHEN d.amount IS NOT NULL THEN 0
                WHEN d.asks_whole AND d.used_now = 0 AND d.held = 0 THEN d.needed
                WHEN NOT d.asks_whole AND d.needed <= d."limit" - d.used_now - d.rest THEN d.needed
                ELSE 0
            END AS needed
        FROM decided d
    ), state_written AS (
        UPDATE limit_state s
        SET "limit" = o."limit", used = o.used, granted = o.granted_to_all, since = o.since, touched_at = moment
        FROM outcome o
        WHERE s.subject = o.subject AND s.meter = o.meter
    ), ended AS (
        DELETE FROM share l
        USING lease e
        WHERE (e.is_closed OR e.is_past OR e.is_ended AND e.charge = 0)
            AND l.subject = e.subject AND l.meter = e.meter AND l.incarnation = e.incarnation
    ), charged AS (
        UPDATE share l
        SET granted = 0, held = 0, needed = 0, wanted_until = moment, charged = e.charge, charged_at = moment
        FROM lease e
        WHERE e.is_ended AND e.charge <> 0
            AND l.subject = e.subject AND l.meter = e.meter AND l.incarnation = e.incarnation
    ), kept AS (
        INSERT INTO share AS l (subject, meter, incarnation, granted, held, lease_until, needed, wanted_until)
        SELECT subject, meter, flushed_by, granted, held, moment + lease_time, needed, moment + want_time
        FROM outcome
        WHERE NOT closed
        ON CONFLICT (subject, meter, incarnation) DO UPDATE
        SET granted = excluded.granted, held = excluded.held, lease_until = excluded.lease_until,
            needed = excluded.needed, wanted_until = excluded.wanted_until, charged = 0, charged_at = NULL
    ), rung AS MATERIALIZED (
        -- Others should flush at once: somebody waits for what they have, or can have what it waits for. Hashes, because
        -- any role of the database can listen; so many as a notification takes, the others find out by their own flushes.
        SELECT pg_notify(left(current_schema(), 50) || '_limit', flushed_by || ' ' || words)::text AS done
        FROM (
            SELECT string_agg(left(encode(sha256(convert_to(subject || ' ' || meter, 'UTF8')), 'hex'), 32), ' ') AS words
            FROM (
                SELECT subject, meter
                FROM outcome
                WHERE needed > 0 AND NOT had_wanted AND granted_to_all > granted
                    OR least_needed <= "limit" - used - granted_to_all
                LIMIT 200
            ) ringing
        ) joined
        WHERE words IS NOT NULL
    )
    SELECT subject, meter, granted, "limit", used, granted_to_all, idle_elsewhere, wanted_elsewhere,
        CASE period
            WHEN 'day' THEN greatest(ceil(extract(epoch FROM since + interval '24 hours' - moment)), 0)
            WHEN 'month' THEN greatest(ceil(extract(epoch FROM
                (since AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' - moment)), 0)
        END::bigint
    FROM outcome
    LEFT JOIN rung ON true;

    IF NOT is_again THEN
        INSERT INTO usage_hour AS u (
            subject, model, upstream, hour, requests, input_tokens, output_tokens, cache_read_tokens,
            cache_write_5m_tokens, cache_write_1h_tokens, web_search_requests
        )
        SELECT subject, model, upstream, hour, sum(requests), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
            sum(cache_write_5m_tokens), sum(cache_write_1h_tokens), sum(web_search_requests)
        FROM jsonb_to_recordset(usages) AS d(
            subject text, model text, upstream text, hour timestamptz, requests bigint, input_tokens bigint,
            output_tokens bigint, cache_read_tokens bigint, cache_write_5m_tokens bigint, cache_write_1h_tokens bigint,
            web_search_requests bigint
        )
        GROUP BY subject, hour, model, upstream
        ORDER BY subject COLLATE "C", hour, model COLLATE "C", upstream COLLATE "C"
        ON CONFLICT (subject, hour, model, upstream) DO UPDATE
        SET requests = u.requests + excluded.requests,
            input_tokens = u.input_tokens + excluded.input_tokens,
            output_tokens = u.output_tokens + excluded.output_tokens,
            cache_read_tokens = u.cache_read_tokens + excluded.cache_read_tokens,
            cache_write_5m_tokens = u.cache_write_5m_tokens + excluded.cache_write_5m_tokens,
            cache_write_1h_tokens = u.cache_write_1h_tokens + excluded.cache_write_1h_tokens,
            web_search_requests = u.web_search_requests + excluded.web_search_requests;

        -- Last, so that the pod's row is locked for no longer than the commit takes. Where somebody deleted the row, this one
        -- keeps the count and is no live pod.
        INSERT INTO pod (incarnation, name, version, session_keys, seen_at, last_seq)
        VALUES (flushed_by, '', '', '{}', moment - interval '1 minute', flush_sequence)
        ON CONFLICT (incarnation) DO UPDATE SET last_seq = excluded.last_seq;
    END IF;
END
$$;
