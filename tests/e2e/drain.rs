//! Takes everything out of a queue, to see what is in it.

use std::path::PathBuf;

use futures_util::StreamExt as _;
use kubectl_workqueue::cluster::{Cluster, Target};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

use crate::bed::{Bed, variable};

/// A message: id and body.
pub type Message = (String, Vec<u8>);

/// Takes all messages out of a queue.
pub fn drain(bed: &Bed, queue: &str) -> Vec<Message> {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(drain_async(&bed.namespace, queue))
}

async fn drain_async(namespace: &str, queue: &str) -> Vec<Message> {
    let target = Target {
        kubeconfig: Some(PathBuf::from(variable("WORKQUEUE_TEST_KUBECONFIG"))),
        context: None,
        namespace: Some(namespace.to_owned()),
    };
    let cluster = Cluster::connect(&target).await.expect("the test bed");
    let release = "workqueue".parse().expect("a legal name");
    let broker = cluster.broker_pod(&release).await.expect("it is ready");
    let tunnel = cluster.tunnel(&broker.pod, broker.port).await.expect("it is ready");
    let login = &broker.credentials;
    let uri = format!("amqp://{}:{}@{}", login.username, login.password, tunnel.address());
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.expect("it is ready");
    let channel = connection.create_channel().await.expect("connected");
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
    let total = declared.expect("the queue is there").message_count() as usize;

    channel.basic_qos(5000, BasicQosOptions::default()).await.expect("connected");
    let consuming = channel.basic_consume(
        queue.into(),
        "drain".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = consuming.await.expect("the queue is there");
    let mut messages = Vec::with_capacity(total);
    while messages.len() < total {
        let delivery = consumer.next().await.expect("connected").expect("connected");
        let id = delivery.properties.message_id().as_ref().map(|id| id.as_str().to_owned());
        messages.push((id.unwrap_or_default(), delivery.data.clone()));
        if messages.len() % 1000 == 0 || messages.len() == total {
            delivery.ack(BasicAckOptions { multiple: true }).await.expect("connected");
        }
    }
    connection.close(200, "done".into()).await.expect("connected");
    messages
}
