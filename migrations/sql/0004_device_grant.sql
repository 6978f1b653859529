-- One sign-in of one device (RFC 8628), from its first request to the poll that takes the tokens.
--
--              the person continues            the callback comes back
--   pending ───────────────────────▶ departed ───────────────────────▶ redeeming
--    ▲  │                              │   ▲                             │  │  │
--    │  │ deny                    deny │   └── continues once more       │  │  └─ approved ──▶ consumed
--    │  └──────────▶ denied ◀──────────┘                                 │  │       (one poll takes it)
--    │                 ▲────────────────── not admitted ─────────────────┘  │
--    └──────────────────────── the provider failed: try again ──────────────┘
--
-- Entering the code again, in any browser, makes the first three pending and that browser the only one that may continue.
-- Every state ends at `expires_at`. A code or token is here as a hash or sealed under a key that no row holds:
--   device_code_hash, state_hash, binding_hash   SHA-256 (256 bits of chance each)
--   user_code_hash                               HMAC, because a short code could be found by trying
--   departure                                    sealed: nonce and PKCE verifier
--   sign_in                                      sealed: the tokens, from approval to the poll

CREATE TABLE device_grant (
    device_code_hash bytea PRIMARY KEY CHECK (octet_length(device_code_hash) = 32),
    user_code_hash bytea NOT NULL UNIQUE CHECK (octet_length(user_code_hash) = 32),
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'departed', 'redeeming', 'approved', 'denied', 'consumed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_polled_at timestamptz,
    -- What the person is shown, so that a phished code looks wrong.
    requested_from text NOT NULL,
    requested_by text NOT NULL,
    -- Its address as limits count it (IPv6 by /64): too many wrong codes, and only this network may enter one.
    requested_network text NOT NULL,
    -- How often the code was entered.
    entries integer NOT NULL DEFAULT 0,
    binding_hash bytea CHECK (octet_length(binding_hash) = 32),
    state_hash bytea UNIQUE CHECK (octet_length(state_hash) = 32),
    departure bytea,
    sign_in bytea,
    CHECK (state <> 'departed' OR (binding_hash IS NOT NULL AND state_hash IS NOT NULL AND departure IS NOT NULL)),
    CHECK ((state = 'approved') = (sign_in IS NOT NULL))
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX device_grant_binding ON device_grant (binding_hash) WHERE binding_hash IS NOT NULL;
CREATE INDEX device_grant_expires_at ON device_grant (expires_at);
