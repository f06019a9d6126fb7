-- The queue. A row is one job; `fence` counts its claims, so that only the latest one may end it.
CREATE TABLE chassis_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    payload json NOT NULL,
    key text,
    priority smallint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'running', 'done', 'dead')),
    run_at timestamptz NOT NULL DEFAULT now(),
    attempt integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    worker text,
    lease_until timestamptz,
    last_error text,
    trace text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
-- Each job is three versions of a row: without vacuum the claim would read all of them.
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

CREATE UNIQUE INDEX chassis_jobs_key ON chassis_jobs (kind, key) WHERE key IS NOT NULL;
CREATE INDEX chassis_jobs_ready ON chassis_jobs (priority DESC, run_at, id) INCLUDE (kind) WHERE state = 'ready';
CREATE INDEX chassis_jobs_running ON chassis_jobs (lease_until) INCLUDE (kind) WHERE state = 'running';
CREATE INDEX chassis_jobs_dead ON chassis_jobs (kind) WHERE state = 'dead';
CREATE INDEX chassis_jobs_done ON chassis_jobs (finished_at) WHERE state = 'done';

-- The latest run of each schedule that was made into a job.
CREATE TABLE chassis_jobs_cron (
    name text PRIMARY KEY,
    schedule text NOT NULL,
    last_run timestamptz NOT NULL
);
