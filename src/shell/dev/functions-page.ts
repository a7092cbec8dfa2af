/** Syncs, records and runs on the first page of `hawser dev`. Plain HTML, no script. */
import { escapeHtml } from '../http/page.ts';

export interface ShownSync {
  name: string;
  variant: string;
  integrationKey: string;
  connectionId: string;
  state: string;
  /** It runs, or will within seconds. */
  isBusy: boolean;
  /** By model. */
  counts: Record<string, number>;
  lastFinishedAt: Date | undefined;
  dueAt: Date | undefined;
}

export interface ShownRun {
  id: string;
  what: string;
  where: string;
  trigger: string;
  state: string;
  durationMs: number | undefined;
  counts: Record<string, { added: number; updated: number; deleted: number }>;
  error: string | undefined;
}

export interface FunctionsPanel {
  syncs: ShownSync[];
  runs: ShownRun[];
  /** Records of one model. */
  records:
    | { model: string; integrationKey: string; connectionId: string; total: number; isNewest: boolean; rows: unknown[] }
    | undefined;
  /** Something on the page changes within seconds. */
  isBusy: boolean;
}

/** Empty when there is nothing to show yet. */
export function renderSyncsAndRecords({ syncs, records }: FunctionsPanel): string {
  return `${renderSyncs(syncs)}\n${renderRecords(records)}`;
}

function renderSyncs(syncs: ShownSync[]): string {
  if (syncs.length === 0) return '';
  const e = escapeHtml;
  const rows = syncs.map((sync) => {
    const name = sync.variant === 'base' ? sync.name : `${sync.name} (${sync.variant})`;
    const counts = Object.entries(sync.counts).map(([model, count]) => {
      const stored = sync.variant === 'base' ? model : `${model}::${sync.variant}`;
      const query = new URLSearchParams({
        provider_config_key: sync.integrationKey,
        connection_id: sync.connectionId,
        model: model.includes('::') ? model : stored,
      });
      return `<a href="/?${e(query.toString())}">${count} ${e(model)}</a>`;
    });
    const state = sync.isBusy ? 'running …' : sync.state;
    return `<tr><td><code>${e(name)}</code></td><td><code>${e(sync.integrationKey)}</code></td><td class="${e(tone(sync.isBusy ? '' : sync.state))}">${e(state)}</td>
<td>${counts.join(', ')}</td><td>${time(sync.lastFinishedAt)}</td><td>${time(sync.dueAt)}</td>
<td><form method="post" action="/dev/run"><input type="hidden" name="integration" value="${e(sync.integrationKey)}"><input type="hidden" name="connection" value="${e(sync.connectionId)}"><input type="hidden" name="sync" value="${e(`${sync.name}::${sync.variant}`)}"><button class="quiet">Run now</button></form></td></tr>`;
  });
  return `<h2 id="syncs">Syncs</h2>
<table><thead><tr><th scope="col">Sync</th><th scope="col">Integration</th><th scope="col">State</th><th scope="col">Records</th><th scope="col">Last run</th><th scope="col">Next</th><th scope="col"></th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

function renderRecords(records: FunctionsPanel['records']): string {
  if (records === undefined) return '';
  const e = escapeHtml;
  const which = records.isNewest ? 'newest' : 'first';
  return `<h2 id="records">The ${which} ${records.rows.length} of ${records.total} ${e(records.model)} records</h2>
<pre>${records.rows.map((row) => e(JSON.stringify(row))).join('\n')}</pre>
<p class="lead"><code>npm run hawser -- records ${e(records.connectionId)} ${e(records.model)}</code></p>`;
}

/** Empty when nothing has run. */
export function renderRuns({ runs }: FunctionsPanel): string {
  if (runs.length === 0) return '';
  const e = escapeHtml;
  const rows = runs.map((run) => {
    const counts = Object.entries(run.counts).map(
      ([model, { added, updated, deleted }]) => `${model} +${added} ~${updated} −${deleted}`,
    );
    const result = run.error ?? counts.join(', ');
    return `<tr><td>${e(run.what)} <span class="lead">of</span> <code>${e(run.where)}</code><br><small class="lead"><code>npm run hawser -- logs ${e(run.id)}</code></small></td><td>${e(run.trigger)}</td><td class="${e(tone(run.state))}">${e(run.state)}</td><td>${run.durationMs === undefined ? '' : `${run.durationMs}&nbsp;ms`}</td><td>${e(result)}</td></tr>`;
  });
  return `<h2 id="runs">Runs</h2>
<table><thead><tr><th scope="col">Run</th><th scope="col">By</th><th scope="col">State</th><th scope="col">Took</th><th scope="col">Result</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

/** Colour class of a state. */
export function tone(state: string): string {
  if (/^(SUCCESS|succeeded|routed|delivered)$/.test(state)) return 'good';
  return /^(ERROR|STOPPED|failed|parked)$/.test(state) ? 'bad' : '';
}

/** Time of day; empty for no time. */
export function time(at: Date | undefined): string {
  return at === undefined ? '' : `<time>${at.toISOString().slice(11, 19)}</time>`;
}
