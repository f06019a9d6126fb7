CREATE TABLE links (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- 40 bits of chance: nobody guesses one among a million.
    slug text NOT NULL UNIQUE DEFAULT substr(replace(gen_random_uuid()::text, '-', ''), 1, 10),
    url text NOT NULL,
    tags text[] NOT NULL DEFAULT '{}',
    hits bigint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT now() + interval '30 days'
);
CREATE INDEX links_tags ON links USING gin (tags);
CREATE INDEX links_expires_at ON links (expires_at);
