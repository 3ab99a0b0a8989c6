/** For all servers of a test: what one has sealed the other opens. */
export const TEST_SECRET_KEY = "only-for-tests-only-for-tests-only-for-tests";
