import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MESSAGE, sshString } from '@burrow/ssh';
import { ReplyOrder } from './reply-order.ts';

const request = (wantsReply: boolean): Buffer =>
  Buffer.concat([
    Buffer.from([MESSAGE.GLOBAL_REQUEST]),
    sshString('keepalive@openssh.com'),
    Buffer.from([wantsReply ? 1 : 0]),
  ]);
const success = Buffer.from([MESSAGE.REQUEST_SUCCESS]);

test('answers come in the order of the questions, whoever gives them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('workload', 'silent', 'own', 'data', 'answer'), { maxLength: 40 }),
      (steps) => {
        const asked: string[] = [];
        const answered: string[] = [];
        const order = new ReplyOrder((payload) => answered.push(payload.toString()));
        let [theirs, given, own] = [0, 0, 0];
        const answer = (): void => {
          answered.push(`theirs ${given++}`);
          order.answered(success);
        };
        for (const step of steps) {
          if (step === 'workload') {
            asked.push(`theirs ${theirs++}`);
            order.asked(request(true));
          } else if (step === 'silent') order.asked(request(false));
          else if (step === 'data') order.answered(Buffer.from([MESSAGE.CHANNEL_DATA]));
          else if (step === 'answer') {
            if (given < theirs) answer();
          } else if (own < 8) {
            asked.push(`own ${own}`);
            order.own(Buffer.from(`own ${own++}`));
          }
        }
        while (given < theirs) answer();
        assert.deepEqual(answered, asked);
      },
    ),
  );
});
