// What node-vault can do with this engine. Given: a role that may be assumed, the name of an IAM user, and
// the address of AWS with a key pair for it. Prints the leases, as JSON.
import assert from 'node:assert/strict';
import NodeVault from 'node-vault';

const [assumable, user, endpoint, accessKey, secretKey] = process.argv.slice(2);
const vault = NodeVault({
  apiVersion: 'v1', endpoint: process.env.VAULT_ADDR, token: process.env.VAULT_TOKEN,
});

await vault.mount({ mount_point: 'aws', type: 'aws' });
await vault.write('aws/config/root', {
  access_key: accessKey, secret_key: secretKey, region: 'us-east-1', iam_endpoint: endpoint,
  sts_endpoint: endpoint,
});
assert.equal((await vault.read('aws/config/root')).data.access_key, accessKey);
await vault.write('aws/config/lease', { lease: '30m', lease_max: '12h' });

const document = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }],
};
await vault.write('aws/roles/user', { credential_type: 'iam_user', policy_document: document });
await vault.write('aws/roles/deploy', { credential_type: 'assumed_role', role_arns: [assumable] });
await vault.write('aws/static-roles/ci', { username: user, rotation_period: '24h' });
assert.deepEqual((await vault.list('aws/roles')).data.keys, ['deploy', 'user']);
assert.deepEqual(JSON.parse((await vault.read('aws/roles/user')).data.policy_document), document);

const generated = await vault.read('aws/creds/user');
assert.equal(generated.lease_duration, 1800);
assert.equal(generated.data.session_token, null);
const session = await vault.write('aws/sts/deploy', { ttl: '20m' });
assert.ok(session.data.session_token && session.data.security_token === session.data.session_token);
assert.equal(session.renewable, false);
const renewed = await vault.write('sys/leases/renew', { lease_id: generated.lease_id, increment: 3600 });
assert.equal(renewed.lease_duration, 3600);
const kept = await vault.read('aws/static-creds/ci');
assert.ok(kept.data.ttl > 86000 && kept.data.rotation_period === 86400, JSON.stringify(kept.data));

await vault.delete('aws/roles/user');
await assert.rejects(vault.read('aws/roles/user'), (error) => error.response.statusCode === 404);
await assert.rejects(
  vault.write('aws/roles/wrong', { credential_type: 'iam-user' }), /unrecognized credential type: iam-user/,
);
console.log(JSON.stringify({ generated: generated.lease_id, key: kept.data.access_key }));
