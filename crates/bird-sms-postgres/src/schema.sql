-- The journal entries of bird-sms. The entries of a phone number are in the order of their ids.
CREATE TABLE IF NOT EXISTS bird_sms_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL,
    phone_number_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- json, because jsonb cannot store the escape \u0000, which a message may contain.
    entry json NOT NULL
);

CREATE INDEX IF NOT EXISTS bird_sms_entries_of_number
    ON bird_sms_entries (workspace_id, phone_number_id, id);

-- Each new owner of a workspace raises its epoch. Entries with an older epoch are not appended.
CREATE TABLE IF NOT EXISTS bird_sms_owners (
    workspace_id uuid PRIMARY KEY,
    epoch bigint NOT NULL
);
