//! The worker of images that have `amqp-consume` and no worker of ours.

/// Takes one item with `amqp-consume`, gives it to the program in the arguments, and acknowledges
/// it when that exits with 0; ends with the program's exit code.
///
/// Around the tool because of two of its ways (measured with rabbitmq-c 0.11): it exits with 0
/// though its program failed, so that the pod would count as succeeded while its item goes back
/// to the queue; and it dies of SIGPIPE when the program ends without reading its input. The `--`
/// keeps the program's own flags from it. The shell also keeps the URL, and the password in it,
/// out of the Job's manifest; as process 1 it has to pass SIGTERM on.
pub const CONSUME_ONE: &str = r#"dir=$(mktemp -d) || exit
trap 'kill $!' TERM
amqp-consume --url="$BROKER_URL" -q "$QUEUE" -c 1 -- /bin/sh -c '
  cat >"$0/item" && "$@" <"$0/item"; status=$?; echo $status >"$0/status"; exit $status
' "$dir" "$@" &
wait $! || exit
exit "$(cat "$dir/status")""#;
