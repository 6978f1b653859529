-- A set of policies is replaced as a whole: whoever writes policies changes rows and raises the revision in one transaction,
-- and pods, which only read, serve one revision or another and never a mixture.
--
--            write rows, raise the revision              read by a pod, every document valid
--   stored ─────────────────────────────────▶ newer ─────────────────────────────────────────▶ served
--                                               │ a document that a pod cannot read
--                                               └──▶ refused by that pod: it goes on serving what it serves
--
-- A pod learns of it by its tick, which reads the revision, and sooner by the notification that the trigger sends.

CREATE TABLE policy_set (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    revision bigint NOT NULL,
    -- Another at each write: a revision that went back and came again is not taken for what it was.
    write_id uuid NOT NULL DEFAULT gen_random_uuid()
);

INSERT INTO policy_set (revision) VALUES (0);

CREATE FUNCTION policy_set_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.write_id := gen_random_uuid();
    RETURN NEW;
END
$$;

CREATE TRIGGER policy_set_written BEFORE UPDATE ON policy_set
    FOR EACH ROW EXECUTE FUNCTION policy_set_written();

CREATE TABLE policy (
    key text PRIMARY KEY,
    -- Lower is tried first.
    position integer NOT NULL,
    -- One policy, in the words of `managed.policies[]` of the configuration file.
    document jsonb NOT NULL,
    -- The revision that brought this document.
    changed_in bigint NOT NULL
);

-- The one channel that pods listen to; its name is made as the pods make it.
CREATE FUNCTION policy_set_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(left(TG_TABLE_SCHEMA, 50) || '_revocation', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER policy_set_changed AFTER UPDATE ON policy_set
    FOR EACH STATEMENT EXECUTE FUNCTION policy_set_changed();

-- Whom a policy applied to on a day, written by pods, each person once. Deleted after three days.
CREATE TABLE policy_person (
    policy text NOT NULL,
    subject text NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (policy, day, subject)
);

CREATE INDEX policy_person_day ON policy_person (day);

-- What a pod serves, and how its upstreams fare: [{"name", "credential", "health", "closed_models"}].
ALTER TABLE pod
    ADD COLUMN policy_revision bigint NOT NULL DEFAULT 0,
    ADD COLUMN upstreams jsonb NOT NULL DEFAULT '[]';
