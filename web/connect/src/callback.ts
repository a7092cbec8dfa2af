/** The page that ends a popup: tells the opener and the channel, both of our own origin only, and closes itself. */
const { origin = '', message = '{}' } = document.body.dataset;
const said = JSON.parse(message) as { type: string };
/** A page that listens answers at once; this is for those that do not. */
const CLOSE_AFTER_MS = 500;

function closeWindow(): void {
  window.close();
}

document.getElementById('close')?.addEventListener('click', closeWindow);
addEventListener('message', (event) => {
  const answer = event.data as { type?: unknown } | null;
  if (event.origin === origin && event.source === window.opener && answer?.type === 'nango_oauth_callback_ack') {
    closeWindow();
  }
});
// The browser drops the message when the opener has another origin.
if (window.opener) (window.opener as Window).postMessage(said, origin);
const channel = new BroadcastChannel('nango-oauth-callback');
channel.addEventListener('message', (event) => {
  if ((event.data as { type?: unknown } | null)?.type === 'nango_oauth_callback_ack') closeWindow();
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
channel.postMessage(said);
if (said.type === 'nango_oauth_callback_success') setTimeout(closeWindow, CLOSE_AFTER_MS);
