//! Tests of when a batch polls, and of the provisioning times that it learns.

use super::*;

/// A journal in memory, which writes each entry as JSON and reads it back.
#[derive(Default)]
struct JsonJournal(Mutex<JournalState>);

impl Journal for JsonJournal {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a> {
        let line = serde_json::to_string(&entry).unwrap();
        let entry = serde_json::from_str(&line).unwrap();
        self.0.lock().unwrap().apply(request.phone_number_id(), &entry, None);
        Box::pin(async { Ok(()) })
    }
}

// Fault 54.
#[tokio::test]
async fn a_poll_after_a_pause_of_the_process_is_not_recorded_as_a_provisioning_time() {
    /// A process that is paused for three seconds in each sleep.
    #[derive(Debug)]
    struct Paused(Arc<NoSleep>);
    impl Runtime for Paused {
        fn now(&self) -> Instant {
            self.0.now()
        }
        fn system_time(&self) -> SystemTime {
            self.0.system_time()
        }
        fn sleep(&self, duration: Duration) -> Sleep {
            self.0.sleep(duration + Duration::from_secs(3))
        }
        fn random(&self) -> f64 {
            0.0
        }
    }
    for paused in [true, false] {
        let script = [Reply::json(201, pending()), Reply::json(200, ready())];
        let peer = Peer::script(script).await.unwrap();
        let (builder, runtime) = without_sleep(&peer.base_url());
        let builder =
            if paused { builder.replace_runtime(|_| Arc::new(Paused(runtime))) } else { builder };
        let workspace = workspace(builder);
        let journal = Arc::new(JsonJournal::default());
        let batch = workspace.install_sms_channels(requests(1)).journal(Arc::clone(&journal));
        let outcomes: Vec<_> = batch.start().collect().await;
        assert!(outcomes[0].result.is_ok());
        let times = workspace.provisioning_times();
        assert_eq!(times.is_empty(), paused, "{times:?}");
        // The next run begins with the same times.
        let stored: Vec<_> = journal.0.lock().unwrap().provisioning_times().collect();
        let ready = |times: &[ProvisioningTime]| -> Vec<_> {
            times.iter().map(|time| time.ready.as_millis()).collect()
        };
        assert_eq!(ready(&stored), ready(&times));
    }
}

#[tokio::test]
async fn a_connector_of_an_earlier_run_adds_no_provisioning_time_and_is_polled_by_its_age() {
    let peer = Peer::script([Reply::json(200, pending()), Reply::json(200, ready())]);
    let peer = peer.await.unwrap();
    let (builder, runtime) = without_sleep(&peer.base_url());
    let workspace = workspace(builder);
    workspace.add_provisioning_times([Duration::from_secs(20)]);
    let mut row = RowState::default();
    let created = JournalEntry::Created { connector_id: connector_id(), warning: None };
    // The system time of the tests is 1970-01-01.
    row.apply(&created, Some(jiff::Timestamp::from_second(-19).unwrap()));
    let items = requests(1).map(move |request| BatchItem::resume(request, row));
    let journal = Arc::new(JsonJournal::default());
    let batch = workspace.install_sms_channels(items).journal(Arc::clone(&journal));
    let outcomes: Vec<_> = batch.start().collect().await;
    assert!(outcomes[0].result.is_ok());
    let slept: Duration = runtime.slept().iter().sum();
    assert!((900..=1_100).contains(&slept.as_millis()), "{slept:?}");
    assert_eq!(workspace.provisioning_times().len(), 1);
    assert_eq!(journal.0.lock().unwrap().provisioning_times().count(), 0);
}

#[tokio::test]
async fn after_the_first_poll_no_gap_of_a_batch_is_longer_than_the_maximum() {
    let script =
        [Reply::json(201, pending()), Reply::json(200, pending()), Reply::json(200, ready())];
    let peer = Peer::script(script).await.unwrap();
    let (builder, runtime) = without_sleep(&peer.base_url());
    let workspace = workspace(builder);
    workspace.add_provisioning_times([2, 300].map(Duration::from_secs));
    let outcomes: Vec<_> = workspace.install_sms_channels(requests(1)).start().collect().await;
    assert!(outcomes[0].result.is_ok());
    let slept: Duration = runtime.slept().iter().sum();
    // The first poll comes after 2 s, and the next one 1.5 s later at most.
    assert!((3_000..=3_600).contains(&slept.as_millis()), "{slept:?}");
}
