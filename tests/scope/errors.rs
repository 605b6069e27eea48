//! The user's error stays the error, and what went wrong at the end stands beside it.

use std::error::Error;
use std::fmt;

use tenure_core::{BoxError, ScopeError};

use super::rig::Rig;
use super::{Plan, ScopeWorld, Step};

on_every_backend! {
    b11_first_error_is_kept_with_cleanup_errors_attached,
    b11_value_of_a_body_is_not_lost,
    b11_errors_of_any_kind_are_passed_on,
}

async fn b11_first_error_is_kept_with_cleanup_errors_attached<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        rig.opens(&s, Plan::from("a").closes(Step::Fail)).await;
        rig.defer(&s, Plan::from("b").closes(Step::Panic));
        Err::<(), _>("the user's error")
    });
    let error = rig.soon(scope).await.expect_err("the body failed");
    let shown = error.to_string();
    assert!(
        shown.starts_with("the user's error; then scope: 0 closed, 1 failed"),
        "{shown}"
    );
    assert!(
        shown.contains("refused") && shown.contains("as planned"),
        "{shown}"
    );
    let report = error.report().expect("the body was run").clone();
    assert_eq!(
        (report.close_failed, report.finalize_failed),
        (1, 1),
        "{report}"
    );
    assert_eq!(report.failures.len(), 2);
    assert_eq!(
        error.into_body().expect("it is the body's"),
        "the user's error"
    );
}

async fn b11_value_of_a_body_is_not_lost<W: ScopeWorld>(world: W) {
    let rig = Rig::new(&world);
    let scope = rig.scope(async |s| {
        rig.opens(&s, Plan::from("a").closes(Step::Fail)).await;
        Ok::<_, String>(42)
    });
    let error = rig.soon(scope).await.expect_err("the close failed");
    assert_eq!(error.source().expect("the close's").to_string(), "refused");
    let error = error.into_body().expect_err("the body did not fail");
    let ScopeError::Cleanup { value, report } = error else {
        panic!("{error:?}");
    };
    assert_eq!((value, report.close_failed), (42, 1), "{report}");
}

/// As `anyhow::Error`, it can be shown, and is no `Error`.
#[derive(Debug)]
struct Shown(&'static str);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

async fn b11_errors_of_any_kind_are_passed_on<W: ScopeWorld>(world: W) {
    async fn boxed<W: ScopeWorld>(rig: &Rig<W>) -> Result<(), BoxError> {
        let scope = rig.scope(async |s| {
            rig.open(&s, Plan::from("a").opens(Step::Fail)).await?;
            Ok::<_, BoxError>(())
        });
        Ok(scope.await?)
    }

    async fn shown<W: ScopeWorld>(rig: &Rig<W>) -> Result<(), BoxError> {
        Ok(rig.scope(|_| async { Err(Shown("no")) }).await?)
    }

    async fn unshared<W: ScopeWorld>(rig: &Rig<W>) -> Result<(), BoxError> {
        let scope = rig.scope(|_| async { Ok::<_, BoxError>(std::rc::Rc::new(())) });
        scope.await.map_err(ScopeError::without_value)?;
        Ok(())
    }

    let rig = Rig::new(&world);
    let told = rig
        .soon(boxed(&rig))
        .await
        .expect_err("it does not open")
        .to_string();
    assert!(
        told.starts_with("scope/") && told.contains("opening failed"),
        "{told}"
    );
    let told = rig
        .soon(shown(&rig))
        .await
        .expect_err("it fails")
        .to_string();
    assert_eq!(told, "no");
    rig.soon(unshared(&rig)).await.expect("all went well");
}
