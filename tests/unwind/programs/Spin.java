/** Spin: one stack of Java code; with the argument `garbage`, work for the threads that collect it. */
public final class Spin {
    private static volatile long total;
    private static final Object[] kept = new Object[64];

    private static long leaf(int turns) {
        long sum = 0;
        for (int turn = 0; turn < turns; turn++) {
            sum += turn ^ (sum << 1);
        }
        return sum;
    }

    private static void outer() {
        total += leaf(1_000_000);
    }

    private static void litter() {
        for (int index = 0; index < kept.length; index++) {
            Object[] list = null;
            for (int length = 0; length < 20_000; length++) {
                list = new Object[] {list, null, null};
            }
            kept[index] = list;
        }
    }

    public static void main(String[] arguments) {
        System.out.println(ProcessHandle.current().pid());
        while (true) {
            if (arguments.length > 0) {
                litter();
            } else {
                outer();
            }
        }
    }
}
