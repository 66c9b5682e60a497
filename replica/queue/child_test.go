package queue_test

func child() int { return 2 }
