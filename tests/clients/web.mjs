// What a person does in the web pages of the server. Given: a flow, the directory for pictures, and what the
// flow needs, as JSON. Prints what the page showed, as JSON.
import assert from 'node:assert/strict';
import packed from '@sparticuz/chromium';
import { chromium } from 'playwright-core';

const [name, pictures, given] = process.argv.slice(2);
const wants = JSON.parse(given);
const server = process.env.VAULT_ADDR;

const browser = await chromium.launch({
  executablePath: await packed.executablePath(),
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
console.error(`Chromium ${browser.version()}`);
const page = await browser.newPage({ viewport: { width: 1000, height: 640 } });
// Machines that test much at a time are slow.
page.setDefaultTimeout(120_000);

async function open(path, awaited) {
  await page.goto(`${server}/ui/vault/${path}`);
  await page.getByText(awaited, { exact: true }).first().waitFor();
}

// Takes the page as a person sees it on a screen of that height.
async function picture(file, height) {
  await page.setViewportSize({ width: 1000, height });
  await page.evaluate(() => {
    document.activeElement?.blur();
    document.querySelectorAll('*').forEach((element) => element.scrollTo(0, 0));
  });
  await page.screenshot({ path: `${pictures}/${file}.png`, animations: 'disabled' });
}

// Switches a lifetime on and says how long it is.
async function duration(label, value, unit) {
  await page.locator(`[data-test-ttl-form-label="${label}"]`).click();
  await page.locator(`[data-test-ttl-value="${label}"]`).fill(String(value));
  await page.locator(`[data-test-ttl-unit="${label}"] select`).selectOption(unit);
}

// What the page says, without what stands on every page.
async function content() {
  return (await page.locator('main, #app-main-content').first().innerText()).split('©')[0];
}

// What stands beside a label of a page that only shows.
const shown = (label) => page.locator('.info-table-row').filter({ hasText: label }).first().innerText();

// What the page says after a form was sent. The message is put away: it covers what is below.
async function saved() {
  const message = page.locator('[data-test-flash-message-body]').first();
  const text = await message.innerText();
  await message.locator('xpath=ancestor::*[.//button][1]').getByRole('button').first().click();
  await message.waitFor({ state: 'detached' });
  return text;
}

// A field by the label that a person reads.
const field = (label) => page.getByLabel(label, { exact: true });

const flows = {
  async configure() {
    await open('settings/secrets/configure/aws', 'Configure AWS');
    await field('Access key').fill(wants.accessKey);
    await field('Secret key').fill(wants.secretKey);
    await page.getByRole('button', { name: 'More options' }).click();
    await field('Region').selectOption('us-east-1');
    await field('IAM endpoint').fill(wants.endpoint);
    await field('STS endpoint').fill(wants.endpoint);
    await picture('web-configure', 880);
    await page.getByRole('button', { name: 'Save' }).click();
    const root = await saved();
    // Only now: its form is there once the other one was saved in the same visit.
    await page.getByRole('link', { name: 'Leases', exact: true }).click();
    await page.getByText('Maximum Lease', { exact: true }).waitFor();
    await duration('Lease', 30, 'm');
    await duration('Maximum Lease', 12, 'h');
    await picture('web-leases', 640);
    await page.getByRole('button', { name: 'Save' }).click();
    return { root, leases: await saved() };
  },

  async create() {
    await open('secrets/aws/create', 'Create an AWS Role');
    await field('Role name').fill('reader');
    await page.locator('textarea').first().fill('arn:aws:iam::aws:policy/ReadOnlyAccess');
    await page.locator('.CodeMirror').click();
    await page.keyboard.insertText(wants.document);
    await picture('web-create', 880);
    await page.getByRole('button', { name: 'Create role' }).click();
    await page.getByText('AWS Role reader', { exact: true }).waitFor();
    return { policy: await shown('Policy ARNs') };
  },

  async generate() {
    await open('secrets/aws/show/reader', 'AWS Role reader');
    await page.getByText('Generate credentials', { exact: true }).click();
    await page.getByText('Generate AWS Credentials', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.getByText('Access key', { exact: true }).waitFor();
    await picture('web-user', 640);
    return { body: await content() };
  },

  async session() {
    await open('secrets/aws/credentials/deploy', 'Generate AWS Credentials');
    await field('Credential type').selectOption('assumed_role');
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.getByText('Access key', { exact: true }).waitFor();
    await picture('web-session', 640);
    return { body: await content() };
  },

  async revoke() {
    await page.goto(`${server}/ui/vault/access/leases/show/${wants.lease}`);
    await page.getByText('Revoke lease').waitFor();
    await page.getByRole('button', { name: 'Renew lease' }).click();
    const renewed = await saved();
    await picture('web-lease', 760);
    const body = await content();
    await page.getByText('Revoke lease').click();
    await page.getByRole('button', { name: 'Confirm', exact: true }).click();
    // It goes on to the list of leases, which fails by itself.
    await page.waitForURL((url) => !url.pathname.endsWith(wants.lease));
    return { body, renewed };
  },

  // Of these, none is for an engine to change.
  async cannot() {
    await page.goto(`${server}/ui/vault/secrets/aws/list`);
    await page.getByText('Secrets Engines', { exact: true }).waitFor();
    assert.equal(new URL(page.url()).pathname, '/ui/vault/secrets', 'the list of roles opens');
    await open('secrets/aws/show/self', 'AWS Role self');
    assert.ok(!(await content()).includes('session_token'), 'a session_token role is shown');
    await open('settings/secrets/configure/aws?tab=leases', 'Configure AWS');
    assert.ok(!(await content()).includes('Maximum Lease'), 'the tab of leases is there at once');
    await page.goto(`${server}/ui/vault/access/leases/list/`);
    await page.getByText('Cannot read properties of undefined').waitFor();
    return {};
  },
};

try {
  await page.goto(`${server}/ui/vault/auth?with=token`);
  await page.locator('input[name=token]').fill(process.env.VAULT_TOKEN);
  await page.locator('#auth-submit').click();
  await page.getByText('Secrets Engines', { exact: true }).waitFor();
  console.log(JSON.stringify(await flows[name]()));
} catch (error) {
  await page.screenshot({ path: `${pictures}/failed-${name}.png` });
  throw error;
} finally {
  await browser.close();
}
