/**
 * What must still be so when something is changed. A store that takes one calls it in the transaction that changes the row, with the row as it is
 * then and locked (`FOR UPDATE`, or a lock of the whole table); what it throws ends the transaction, and nothing has changed.
 */
export type Expectation<T> = (before: T) => void;
