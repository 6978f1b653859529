-- A revocation is written once and never changed. Pods read them in order, each from where it stopped; one is deleted when
-- every session that it could cover is over by its age.
--
-- The number comes from `revocation_head`, not from a sequence: its row lock is held until commit, so numbers become visible
-- in their order, and a pod that has read up to n has missed none below it. A sequence would let n + 1 commit before n.

CREATE TABLE revocation_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    sequence bigint NOT NULL
);

INSERT INTO revocation_head (sequence) VALUES (0);

CREATE TABLE revocation (
    sequence bigint PRIMARY KEY,
    -- One of the two, or neither: everyone.
    session text UNIQUE,
    subject text,
    cut_off timestamptz NOT NULL DEFAULT now(),
    CHECK (session IS NULL OR subject IS NULL)
);

CREATE INDEX revocation_cut_off ON revocation (cut_off);
