//! A database as sqlx's [`Executor`]: a query takes a connection for itself, as with a pool of sqlx.
//!
//! Next: [`crate::replica`].

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt};
use sqlx::{
    Describe, Either, Error, Execute, Executor, Postgres, SqlStr,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::sync::mpsc;

use super::Database;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;
type Step = Either<PgQueryResult, PgRow>;

impl<'c> Executor<'c> for &Database {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Pin<Box<dyn Stream<Item = Result<Step, Error>> + Send + 'e>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let database = self.clone();
        // One step at a time: a reader that is slow holds the query back.
        let (steps, results) = mpsc::channel(1);
        let run = async move {
            let mut connection = database.acquire().await?;
            let mut rows = connection.fetch_many(query);
            while let Some(step) = rows.next().await {
                // Who reads them is who runs this.
                let _ = steps.send(step).await;
            }
            Ok(())
        };
        Box::pin(Steps { run: Some(Box::pin(run)), results })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> Boxed<'e, Option<PgRow>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let database = self.clone();
        Box::pin(async move { database.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> Boxed<'e, PgStatement>
    where
        'c: 'e,
    {
        let database = self.clone();
        Box::pin(async move { database.acquire().await?.prepare_with(sql, parameters).await })
    }

    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> Boxed<'e, Describe<Postgres>>
    where
        'c: 'e,
    {
        let database = self.clone();
        Box::pin(async move { database.acquire().await?.describe(sql).await })
    }
}

/// The results of a query that runs as they are read.
struct Steps<'a> {
    run: Option<Boxed<'a, ()>>,
    results: mpsc::Receiver<Result<Step, Error>>,
}

impl Stream for Steps<'_> {
    type Item = Result<Step, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(run) = &mut self.run
            && let Poll::Ready(ended) = run.as_mut().poll(cx)
        {
            self.run = None;
            if let Err(error) = ended {
                return Poll::Ready(Some(Err(error)));
            }
        }
        self.results.poll_recv(cx)
    }
}
