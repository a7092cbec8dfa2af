import { createSync, type NangoAction } from 'hawser/functions';
import * as z from 'zod';
import { readHrefPage } from '../../lib/href-list.ts';
import { Place, readListing } from '../../lib/listing.ts';

const Invitation = z.object({
  id: z.string(),
  /** `pending`, `completed` or `expired`; a cancelled one is deleted. */
  status: z.string(),
  package: z.string(),
  candidate_id: z.string(),
  report_id: z.string().nullable(),
  invitation_url: z.string(),
  tags: z.array(z.string()),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  completed_at: z.string().nullable(),
});
type Invitation = z.infer<typeof Invitation>;

const Report = z.object({
  id: z.string(),
  /** `pending`, `complete`, `suspended`, `dispute` or `canceled`. */
  status: z.string(),
  /** `clear`, `consider`, or null while it is not complete. */
  result: z.string().nullable(),
  assessment: z.string().nullable(),
  adjudication: z.string().nullable(),
  package: z.string(),
  candidate_id: z.string().nullable(),
  created_at: z.string(),
  completed_at: z.string().nullable(),
  revised_at: z.string().nullable(),
});
type Report = z.infer<typeof Report>;

/** Reports asked for at once. Checkr allows 1,200 calls a minute. */
const REPORTS_AT_ONCE = 5;
/** A report that has been complete for so long is taken from the cache: an hourly call for each would be most of all. */
const SETTLED_DAYS = 30;

/** What makes a report new or other than it was. */
const REPORT_EVENTS = ['created', 'completed', 'suspended', 'resumed', 'disputed', 'canceled', 'upgraded'].map(
  (name) => `report.${name}`,
);

async function readReport(nango: Pick<NangoAction, 'get'>, id: string): Promise<Report> {
  const { data } = await nango.get<Report>({ endpoint: `/v1/reports/${id}`, retries: 5 });
  return {
    id: data.id,
    status: data.status,
    result: data.result ?? null,
    assessment: data.assessment ?? null,
    adjudication: data.adjudication ?? null,
    package: data.package,
    candidate_id: data.candidate_id ?? null,
    created_at: data.created_at,
    completed_at: data.completed_at ?? null,
    revised_at: data.revised_at ?? null,
  };
}

export default createSync({
  description: 'Invitations, and the reports that came of them. Checkr has no list of reports.',
  frequency: 'every hour',
  autoStart: true,
  models: { Invitation, Report },
  checkpoint: Place,
  webhookSubscriptions: REPORT_EVENTS,
  exec: async (nango) => {
    const settledBefore = new Date(Date.now() - SETTLED_DAYS * 86_400_000).toISOString();
    const isSettled = (report: Report): boolean =>
      report.status === 'complete' && (report.revised_at ?? report.completed_at ?? settledBefore) < settledBefore;

    const saveReports = async (ids: string[]): Promise<void> => {
      const known = await nango.getRecordsByIds(ids, 'Report');
      const reports: Report[] = [];
      const asked: string[] = [];
      for (const id of ids) {
        const one = known.get(id);
        if (one !== undefined && one._nango_metadata.pruned_at === null && isSettled(one))
          reports.push(Report.parse(one));
        else asked.push(id);
      }
      for (let at = 0; at < asked.length; at += REPORTS_AT_ONCE) {
        reports.push(...(await Promise.all(asked.slice(at, at + REPORTS_AT_ONCE).map((id) => readReport(nango, id)))));
      }
      await nango.batchSave(reports, 'Report');
    };

    await nango.trackDeletesStart('Invitation');
    await nango.trackDeletesStart('Report');
    await readListing(
      nango,
      (page) => readHrefPage<Invitation>(nango, '/v1/invitations', page),
      async (rows) => {
        await saveReports(rows.flatMap((row) => row.report_id ?? []));
        await nango.batchSave(
          rows.map((row) => ({
            id: row.id,
            status: row.status,
            package: row.package,
            candidate_id: row.candidate_id,
            report_id: row.report_id ?? null,
            invitation_url: row.invitation_url,
            tags: row.tags ?? [],
            created_at: row.created_at,
            expires_at: row.expires_at ?? null,
            completed_at: row.completed_at ?? null,
          })),
          'Invitation',
        );
      },
    );
    await nango.trackDeletesEnd('Report');
    await nango.trackDeletesEnd('Invitation');
  },
  // Events come twice, late and out of order: the report is read as it is now, whatever the event says.
  onWebhook: async (nango, payload) => {
    await nango.batchSave([await readReport(nango, payload.data.object.id)], 'Report');
  },
});
