/* The library of `stub`. */
void empty(void);

void empty(void)
{
}
