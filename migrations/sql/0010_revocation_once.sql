-- A person, and everyone, is revoked in one row each, which a later revocation moves to the front with its later cut-off: a
-- script that signs the same people out every minute must not make a table that every starting pod has to read. Nothing is
-- lost, because the later cut-off covers what the earlier one did.

DELETE FROM revocation older USING revocation newer
WHERE older.session IS NULL AND newer.session IS NULL AND older.sequence < newer.sequence
    AND older.subject IS NOT DISTINCT FROM newer.subject;

CREATE UNIQUE INDEX revocation_subject ON revocation (subject) WHERE subject IS NOT NULL;
CREATE UNIQUE INDEX revocation_everyone ON revocation ((true)) WHERE session IS NULL AND subject IS NULL;
