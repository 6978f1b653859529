-- Who a session's person was when it began, so that an administrator finds it by address and sees which device it is. It goes
-- with the session. Sessions that began before this migration have neither.

ALTER TABLE session
    ADD COLUMN email text,
    ADD COLUMN begun_with text;

CREATE INDEX session_email ON session (lower(email));
