import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes a minute is begun first; otherwise it would be left over at the end, for one worker alone. */
const LONGEST = [
  'test/chaos/functions.test.ts',
  'test/chaos/kills.test.ts',
  'test/chaos/functions-nodes.test.ts',
  'test/flows/start.test.ts',
  'test/flows/keys-rotation.test.ts',
  'src/features/credentials/hard.test.ts',
];

/** Files that start processes by the dozen. To start one is to copy the table of a worker's memory, which only grows. */
const STARTING =
  /\/(chaos|sandbox|embedded|project|actions|functions|syncs)\/|(cli|keys|backup|kill|functions)[^/]*\.test\.ts$/;

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(name));
      if (at !== -1) return at;
      return LONGEST.length + (STARTING.test(moduleId) ? 0 : 1);
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
