-- The tables of the fleet: `fleet init`. Applying them a second time changes nothing.

-- A row for each phone number to install.
CREATE TABLE IF NOT EXISTS jobs (
    workspace_id uuid NOT NULL,
    phone_number_id uuid NOT NULL,
    -- An SmsConnectorRequest.
    request json NOT NULL,
    -- 'failed' waits for an operator.
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'ready', 'failed')),
    -- When an open job may be taken.
    due_at timestamptz NOT NULL DEFAULT now(),
    channel_id uuid,
    -- Why there is no channel, or the warning of the channel.
    message text,
    PRIMARY KEY (workspace_id, phone_number_id)
);

CREATE INDEX IF NOT EXISTS open_jobs ON jobs (workspace_id, due_at) WHERE status = 'open';

-- The write-ahead log of all workspaces. Rows are only inserted.
CREATE TABLE IF NOT EXISTS journal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL,
    phone_number_id uuid NOT NULL,
    -- A JournalEntry. The type jsonb would refuse a text with a NUL.
    entry json NOT NULL,
    appended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The process id of the session, which tells the owners of a workspace apart.
    session integer NOT NULL DEFAULT pg_backend_pid()
);

CREATE INDEX IF NOT EXISTS journal_of_workspace ON journal (workspace_id, id);
