/**
 * What hangs below a candidate: documents, licences, employers, schools, continuous checks.
 * The documents name these resources but hardly their fields: what is sent is kept and shown (assumption).
 */
import {
  bodyObject,
  collection,
  RestFault,
  textField,
  type Call,
  type Handler,
  type Route,
} from '../engine/rest-routes.ts';
import type { JsonObject, RestReply } from '../engine/types.ts';
import { writableCandidate } from './rest-candidates.ts';
import {
  candidatesOf,
  findOr404,
  listReply,
  newestFirst,
  nowIso,
  orderPlace,
  requireCredentialed,
  shortListReply,
  shown,
  type Plain,
} from './rest-model.ts';
import { showDocument } from './rest-views.ts';

/** Entries of a candidate's history: collection and path name → `object` name. */
const PROFILE_PARTS = { driver_licenses: 'driver_license', employers: 'employer', schools: 'school' } as const;

export const candidatePartRoutes: Route[] = [
  ['GET', '/v1/candidates/:id/documents', listDocuments],
  ['POST', '/v1/candidates/:id/documents', createDocument],
  ['GET', '/v1/candidates/:id/continuous_checks', listContinuousChecks],
  ['POST', '/v1/candidates/:id/continuous_checks', createContinuousCheck],
  ...Object.entries(PROFILE_PARTS).flatMap(([name, object]): Route[] => [
    ['GET', `/v1/candidates/:id/${name}`, listParts(name, object)],
    ['POST', `/v1/candidates/:id/${name}`, createPart(name, object)],
  ]),
];

function ofCandidate(call: Call, name: string): Plain[] {
  const candidate = findOr404(candidatesOf(call.account), call.params['id'], 'Candidate');
  return collection<Plain>(call.account, name).filter((row) => row['candidate_id'] === candidate.id);
}

function listDocuments(call: Call): RestReply {
  const { query } = call.request;
  const types = [...query.getAll('types[]'), ...query.getAll('types')].flatMap((value) => value.split(','));
  const rows = ofCandidate(call, 'documents');
  const wanted = types.length === 0 ? rows : rows.filter((row) => types.includes(String(row['type'])));
  return shortListReply(wanted.map(showDocument));
}

function createDocument(call: Call): RestReply {
  const candidate = writableCandidate(call, call.params['id']);
  const body = bodyObject(call.request, 'Invalid request body');
  const type = textField(body, 'type');
  if (!type) throw new RestFault(400, "Type can't be blank");
  const document: Plain = {
    id: call.tools.hexId(24),
    created_at: nowIso(call.tools),
    candidate_id: candidate.id,
    type,
    filename: textField(body, 'filename') ?? null,
    content_type: textField(body, 'content_type') ?? null,
    filesize: null,
    download_uri: null,
  };
  collection<Plain>(call.account, 'documents').push(document);
  return { status: 201, body: showDocument(document), changed: true };
}

function showPart(name: string, object: string, row: Plain): JsonObject {
  const { candidate_id: candidateId, ...rest } = row;
  return shown(object, `candidates/${String(candidateId)}/${name}`, rest);
}

function listParts(name: string, object: string): Handler {
  return (call) =>
    listReply(
      call,
      newestFirst(ofCandidate(call, name)).map((row) => showPart(name, object, row)),
    );
}

function createPart(name: string, object: string): Handler {
  return (call) => {
    const candidate = writableCandidate(call, call.params['id']);
    const body = bodyObject(call.request, 'Invalid request body');
    const sent = Object.entries(body).filter(
      ([field]) => !field.startsWith('hidden') && !['object', 'uri'].includes(field),
    );
    const row: Plain = {
      ...Object.fromEntries(sent),
      id: call.tools.hexId(24),
      created_at: nowIso(call.tools),
      candidate_id: candidate.id,
    };
    collection<Plain>(call.account, name).push(row);
    return { status: 201, body: showPart(name, object, row), changed: true };
  };
}

function listContinuousChecks(call: Call): RestReply {
  const rows = newestFirst(ofCandidate(call, 'continuous_checks'));
  return listReply(
    call,
    rows.map((row) => shown('continuous_check', 'continuous_checks', row)),
  );
}

function createContinuousCheck(call: Call): RestReply {
  requireCredentialed(call.account);
  const candidate = writableCandidate(call, call.params['id']);
  const body = bodyObject(call.request, 'Invalid request body');
  const type = textField(body, 'type');
  if (type !== 'criminal' && type !== 'mvr') throw new RestFault(400, 'Type must be criminal or mvr');
  const { node, workLocations } = orderPlace(call, body);
  const row: Plain = {
    id: call.tools.hexId(24),
    created_at: nowIso(call.tools),
    candidate_id: candidate.id,
    type,
    node,
    work_locations: workLocations,
  };
  collection<Plain>(call.account, 'continuous_checks').push(row);
  return { status: 201, body: shown('continuous_check', 'continuous_checks', row), changed: true };
}
