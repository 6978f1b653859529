-- A session lives from an approved sign-in until somebody ends it or it is too old; then its row is gone, and every refresh
-- token of it with the row.
--
--            claim                            advance
--   free ─────────────▶ claimed by one refresh ─────────▶ free, one generation further
--    ▲                     │ the provider could not say, or the claim ran out
--    └─────────────────────┘
--
-- `token_hash` is the refresh token of this generation, `previous_hash` that of the one before. For the grace after
-- `advanced_at` the previous token still gets `successor`: this generation's token, sealed under a key that no row holds.
-- Another token of this generation, or an older one, ends the session: somebody has a copy.

CREATE TABLE session (
    id text PRIMARY KEY,
    subject text NOT NULL,
    -- The database's clock, before the person was approved: cut-offs are compared with it.
    started_at timestamptz NOT NULL,
    generation bigint NOT NULL,
    -- NULL where the identity provider gave no refresh token, so neither did we.
    token_hash bytea CHECK (octet_length(token_hash) = 32),
    previous_hash bytea CHECK (octet_length(previous_hash) = 32),
    advanced_at timestamptz NOT NULL,
    successor bytea,
    claim bytea CHECK (octet_length(claim) = 16),
    claimed_until timestamptz
);

CREATE INDEX session_subject ON session (subject);
CREATE INDEX session_started_at ON session (started_at);
CREATE INDEX session_successor ON session (advanced_at) WHERE successor IS NOT NULL;
